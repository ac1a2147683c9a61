"""`kill -9` of the service at any moment: nothing acknowledged is lost, nobody stays busy."""

import asyncio
from datetime import datetime
from itertools import count

import asyncpg
import httpx2
import pytest

from service.store.database import driver_dsn
from tests.fixtures.deadlines import due_in
from tests.fixtures.feeds import asked, call_events, dial, ended
from tests.fixtures.postgres import value
from tests.fixtures.serving import app_in, reached_process
from tests.fixtures.sockets import phone_at, phones

SWIFT = {"lease_s": 1, "lease_renew_s": 0.3}
ENGAGED = "SELECT count(*) FROM engagements"

pytestmark = pytest.mark.timeout(180)


async def test_a_kill_while_it_rings(db_url):
    """Both come back, the phone still rings, the call goes on as if nothing had happened."""
    async with reached_process(db_url) as (process, reached):
        async with phones(reached, "ann", "bob") as (ann, bob):
            call = await ann.dial("bob")
            ring = (await bob.gets("ring"))["ring"]["ring_id"]
            await bob.do("call.ack", call)
            cursor = (await bob.hears("call.ringing")) and bob.cursor
            await process.kill()
            assert await ann.bye() == await bob.bye() == 1006
        await process.start()
        async with phones(reached, "ann") as (ann,):
            bob = await phone_at(reached, "bob", resume_after=cursor)
            assert [live["id"] for live in ann.welcome["calls"]] == [call]
            assert [ringing["ring_id"] for ringing in bob.welcome["rings"]] == [ring]
            await bob.do("call.answer", call)
            await ann.hears("call.answered")
            await ann.do("call.hangup", call)
            assert (await bob.hears("call.ended"))["call"]["end_reason"] == "hangup"
            assert "call.created" not in bob.summary, "what was heard is not told again"
            await bob.close()
        await call_events(reached.http, call)
        assert await value(db_url, ENGAGED) == 0


async def talking(reached, ann, bob):
    call = await ann.dial("bob")
    await bob.do("call.answer", call)
    await ann.do("media.connected", call, peer="bob")
    await bob.do("media.connected", call, peer="ann")
    await ann.hears("call.active")
    return call


async def test_a_kill_between_answer_and_hang_up_and_everybody_comes_back(db_url):
    async with reached_process(db_url) as (process, reached):
        async with phones(reached, "ann", "bob") as (ann, bob):
            call = await talking(reached, ann, bob)
            await process.kill()
        await process.start()
        async with phones(reached, "ann", "bob") as (ann, bob):
            (live,) = ann.welcome["calls"]
            assert live["state"] == "active"
            await bob.do("call.hangup", call)
            assert (await ann.hears("call.ended"))["call"]["end_reason"] == "hangup"
        assert await value(db_url, ENGAGED) == 0


async def test_40_a_kill_between_answer_and_hang_up_and_nobody_comes_back(db_url):
    """The dead process's lease ends, the legs have their grace, then the call is over: nobody stays busy."""
    app = await app_in(db_url, reconnect_grace_s=1, alone_grace_s=1)
    async with reached_process(db_url, app=app, **SWIFT) as (process, reached):
        async with phones(reached, "ann", "bob") as (ann, bob):
            call = await talking(reached, ann, bob)
            await process.kill()
        await process.start()
        over = await ended(reached.http, [call])
        assert over[call].call.end_reason == "connection_lost"
        assert await value(db_url, ENGAGED) == 0
        kinds = [event.type for event in await call_events(reached.http, call)]
        assert "participant.reconnecting" in kinds


async def test_41_a_kill_while_it_rings_and_the_caller_does_not_come_back(db_url):
    app = await app_in(db_url, caller_lease_s=1)
    async with reached_process(db_url, app=app, **SWIFT) as (process, reached):
        async with phones(reached, "ann", "bob") as (ann, _bob):
            call = await ann.dial("bob")
            await process.kill()
        await process.start()
        over = await ended(reached.http, [call])
        assert over[call].call.end_reason == "caller_lost"


async def test_16_deadlines_that_pass_while_it_is_down_are_settled_at_start(db_url):
    async with reached_process(db_url) as (process, reached):
        calls = [(await dial(reached.http, f"a{n}", f"b{n}"))["id"] for n in range(30)]
        await process.kill()
        driver = await asyncpg.connect(driver_dsn(db_url))
        await due_in(driver, -42, calls)
        due = await driver.fetchval("SELECT deadline_at FROM calls LIMIT 1")
        await driver.close()
        await process.start()
        over = await ended(reached.http, calls)
        for call in calls:
            event = over[call]
            occurred_at = datetime.fromisoformat(event.data["occurred_at"])
            assert abs(occurred_at - due).total_seconds() < 0.001
            assert 42_000 <= event.late_by_ms < 72_000
            assert event.data["cause"]["kind"] == "timer"
            assert event.call.end_reason in {"no_answer", "unreachable"}
        assert await value(db_url, ENGAGED) == 0
        ann = await asked(reached.http.get("/v1/users/a0/presence"))
        assert ann["state"] != "busy"
        again = await dial(reached.http, "a0", "b0")
        assert again["id"] not in calls


async def test_a_kill_under_load_loses_nothing_that_was_acknowledged(db_url):
    """Whoever got no answer asks again with the same key, and gets one call."""
    async with reached_process(db_url) as (process, reached):
        acknowledged, unanswered = {}, []
        enough = asyncio.Event()
        numbers = count()

        async def load():
            while not process.killed:
                number = next(numbers)
                body = {"initiator": f"a{number}", "participants": [f"b{number}"]}
                try:
                    answer = await reached.http.post("/v1/calls", json=body, headers={"Idempotency-Key": f"k{number}"})
                except httpx2.TransportError:
                    unanswered.append(number)
                    continue
                assert answer.status_code == 201, answer.text
                acknowledged[number] = answer.json()["call"]["id"]
                if len(acknowledged) > 60:
                    enough.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(load())
            await enough.wait()
            await process.kill()
        assert unanswered
        await process.start()
        for number, call in acknowledged.items():
            found = await asked(reached.http.get(f"/v1/calls/{call}"))
            assert (found["initiator"], found["state"]) == (f"a{number}", "dialing")
        for number in unanswered:
            body = {"initiator": f"a{number}", "participants": [f"b{number}"]}
            key = {"Idempotency-Key": f"k{number}"}
            first, second = [(await asked(reached.http.post("/v1/calls", json=body, headers=key))) for _ in range(2)]
            assert first["call"]["id"] == second["call"]["id"]
        calls = await value(db_url, "SELECT count(*) FROM calls")
        assert calls == len(acknowledged) + len(unanswered)
        assert await value(db_url, ENGAGED) == 2 * calls
