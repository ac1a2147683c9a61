"""Two processes on one database: each timer fires once; a killed one's users go offline, their calls have a grace."""

import asyncio
import re
from contextlib import AsyncExitStack

import asyncpg
import pytest

from service.store.database import driver_dsn
from tests.fixtures.deadlines import due_in
from tests.fixtures.feeds import asked, call_events, dial, ended
from tests.fixtures.postgres import value
from tests.fixtures.serving import app_in, reached_process
from tests.fixtures.sockets import phone_at

LEASE = {"lease_s": 1, "lease_renew_s": 0.3}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def two(db_url):
    """`(process, reached)` of either replica."""
    app = await app_in(db_url, reconnect_grace_s=30)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(reached_process(db_url, app=app, **LEASE)) for _ in range(2)]


async def settled_by(reached):
    """How many calls this process's sweep has settled."""
    answer = await reached.http.get("/metrics")
    return float(re.search(r"^hookswitch_timer_late_seconds_count (\S+)$", answer.text, re.MULTILINE)[1])


async def test_each_timer_fires_once_with_hundreds_of_equal_deadlines(two, db_url):
    (_, one), (_, other) = two
    calls = [(await dial(one.http, f"a{n}", f"b{n}"))["id"] for n in range(300)]
    driver = await asyncpg.connect(driver_dsn(db_url))
    await due_in(driver, 1, calls)
    await driver.close()
    await asyncio.gather(ended(one.http, calls), ended(other.http, calls))
    assert await value(db_url, "SELECT count(*) FROM events WHERE type = 'call.ended'") == 300
    assert await value(db_url, "SELECT max(version) FROM calls") == 3, "created once, moved by this test, settled once"
    assert await value(db_url, "SELECT count(*) FROM engagements") == 0
    shares = [await settled_by(reached) for reached in (one, other)]
    assert sum(shares) == 300
    for call in calls[:5]:
        await call_events(one.http, call)


async def test_users_of_a_killed_replica_go_offline_and_their_calls_have_a_grace(two, db_url):
    (dying, first), (_, second) = two
    ann, bob = await phone_at(first, "ann"), await phone_at(second, "bob")
    call = await ann.dial("bob")
    await bob.gets("ring")
    await bob.do("call.answer", call)
    await ann.hears("call.answered")
    await ann.do("media.connected", call, peer="bob")
    await bob.do("media.connected", call, peer="ann")
    await bob.hears("call.active")

    await dying.kill()
    lost = await bob.hears("participant.reconnecting", "ann")
    assert lost["cause"]["name"] == "device_disconnected"
    presence = await asked(second.http.get("/v1/users/ann/presence"))
    assert [device["state"] for device in presence["devices"]] in ([], ["offline"])
    assert presence["state"] == "busy", "the grace keeps the place"

    back = await phone_at(second, "ann", "ann-phone")
    await bob.hears("participant.reconnected", "ann")
    await back.do("call.hangup", call)
    await bob.hears("call.ended")
    assert await value(db_url, "SELECT count(*) FROM engagements") == 0
    for phone in (ann, bob, back):
        await phone.close()


async def test_an_idle_user_of_a_killed_replica_is_offline(two):
    (dying, first), (_, second) = two
    ann = await phone_at(first, "ann")
    presence = await asked(second.http.get("/v1/users/ann/presence"))
    assert presence["state"] == "online"
    await dying.kill()
    await ann.bye()
    async with asyncio.timeout(15):
        while (await asked(second.http.get("/v1/users/ann/presence")))["state"] != "offline":
            pass  # each look is a request to the other replica
    await ann.close()
