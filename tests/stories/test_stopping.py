"""SIGTERM: what is under way is finished, sockets are told, nobody waits for a long poll."""

import asyncio
import re

import pytest

from tests.fixtures.feeds import asked, dial
from tests.fixtures.serving import app_in, reached_process
from tests.fixtures.sockets import phones

pytestmark = pytest.mark.timeout(180)  # starts processes, on a machine that may be busy

GOING_AWAY = 1001


async def test_sockets_are_told_that_it_goes_away_and_long_polls_end(db_url):
    async with reached_process(db_url) as (process, reached), phones(reached, "ann", "bob") as (ann, bob):
        await dial(reached.http, "carl", "dora")
        page = await asked(reached.http.get("/v1/events", params={"wait_s": 10}))
        assert page["items"]
        waiting = {"after": page["next_cursor"], "types": "device.registered", "wait_s": 30}
        poll = asyncio.create_task(reached.http.get("/v1/events", params=waiting))
        await asked(reached.http.get("/v1/calls"))  # the poll is under way
        stopping = asyncio.create_task(process.stop())
        assert await ann.bye() == await bob.bye() == GOING_AWAY
        answer = await poll
        assert (answer.status_code, answer.json()["items"]) == (200, [])
        assert await stopping == 0


async def test_a_stopped_service_leaves_no_connection_behind_and_its_calls_their_grace(db_url):
    """Who was on its sockets is on none at once, not only when the lease ends (in presence: as the app says)."""
    app = await app_in(db_url, presence_grace_s=0)
    async with reached_process(db_url, app=app) as (process, reached):
        async with phones(reached, "ann", "bob") as (ann, bob):
            call = await ann.dial("bob")
            await bob.do("call.answer", call)
            await ann.do("media.connected", call, peer="bob")
            await bob.do("media.connected", call, peer="ann")
            await ann.hears("call.active")
            assert await process.stop() == 0
        await process.start()
        presence = await asked(reached.http.get("/v1/users/ann/presence"))
        assert [device["state"] for device in presence["devices"]] in ([], ["offline"])
        (found,) = (await asked(reached.http.get("/v1/calls", params={"state": "active"})))["items"]
        assert [leg["state"] for leg in found["legs"]] == ["reconnecting", "reconnecting"]


async def test_requests_under_way_are_answered(db_url):
    """Whoever was let in is answered, whoever comes later finds nobody: no answer is cut off in the middle."""
    async with reached_process(db_url) as (process, reached):
        answers = [
            asyncio.create_task(reached.http.post("/v1/calls", json={"initiator": f"a{n}", "participants": [f"b{n}"]}))
            for n in range(20)
        ]
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert await process.stop() == 0
        done = await asyncio.gather(*answers, return_exceptions=True)
        answered = [answer for answer in done if not isinstance(answer, Exception)]
        assert answered
        assert {answer.status_code for answer in answered} == {201}
        await process.start()
        for answer in answered:
            await asked(reached.http.get(f"/v1/calls/{answer.json()['call']['id']}"))


@pytest.fixture
async def metrics(running_service):
    async def read(name, **labels):
        text = (await running_service.http.get("/metrics")).text
        wanted = "".join(f'(?=.*[{{,]{key}="{re.escape(value)}"[,}}])' for key, value in labels.items())
        found = re.search(rf"^{name}(?:{wanted}\{{.*\}})? (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    return read


async def test_the_metrics_tell_of_calls_commands_sockets_and_requests(running_service, metrics):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        call = await ann.dial("bob")
        await bob.gets("ring")
        await bob.do("call.ack", call)
        assert await bob.refused("call.cancel", call_id=call) == "not_initiator"
        assert await metrics("hookswitch_sockets_open") == 2
        await ann.do("call.cancel", call)
        await bob.hears("call.ended")
    assert await metrics("hookswitch_calls_created_total") == 1
    assert await metrics("hookswitch_calls_ended_total", reason="canceled") == 1
    assert await metrics("hookswitch_ring_seconds_count") == 1
    assert await metrics("hookswitch_commands_total", command="dial", outcome="ok") == 1
    assert await metrics("hookswitch_commands_total", command="cancel", outcome="not_initiator") == 1
    assert await metrics("hookswitch_commands_total", command="cancel", outcome="ok") == 1
    await running_service.http.get("/v1/calls/00000000-0000-7000-8000-000000000000")
    assert await metrics("hookswitch_http_seconds_count", route="/v1/calls/{call_id}", status="4xx", method="GET") == 1
    assert await metrics("hookswitch_database_connections", state="idle") > 0


async def test_a_made_up_method_or_path_makes_no_new_series(running_service):
    for n in range(3):
        await running_service.http.request(f"M{n}", f"/nowhere/{n}")
    text = (await running_service.http.get("/metrics")).text
    assert "/nowhere" not in text
    assert 'method="M' not in text
