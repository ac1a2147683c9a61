"""Wake-ups between replicas: said once, heard by whom they concern, found without them."""

import asyncio
from uuid import UUID

import orjson
import pytest

from service.core.commands import Silence
from service.live.hub import user_hash
from service.live.session import REPLACED
from service.live.wakes import Wakes
from service.store.database import StoreUnavailableError
from service.store.devices import put_device
from service.store.users import put_user
from service.store.wakeups import LONGEST
from service.wire.devices import DeviceBody
from service.wire.feed import Told, new_id
from service.wire.users import UserBody
from tests.live.house import Tale
from tests.live.replica import Replica, until
from tests.switchboard.desk import APP, user


@pytest.fixture
async def two(database):
    return await Replica(database).open(), await Replica(database).open()


async def test_a_wake_up_is_enough(two):
    one, other = two
    async with one.listening(), other.listening():
        ann, bob = await one.arrive("a"), await other.arrive("b")
        await one.bus.poll_once()  # sees that it is not alone
        call = (await one.desk.dial("a", "b")).call
        await until(bob, lambda: bob.seqs == [1, 2])
        assert bob.alerts == ["ring b-phone"]
        assert one.desk.board.recent.find(UUID(call.id))
        await other.desk.answer(call.id, "b", "b-phone")
        await until(ann, lambda: len(ann.seqs) == 4)
        assert one.desk.board.recent.find(UUID(call.id)) is None, "the next command here reads the call at once"
        ended = (await one.desk.hang_up(call.id, "a")).call
        await until(bob, lambda: len(bob.seqs) == ended.seq)
        assert ann.heard == bob.heard
        assert bob.seqs == list(range(1, ended.seq + 1))


async def test_a_replica_alone_says_nothing(database):
    one = await Replica(database).open()
    await one.arrive("a")
    await one.bus.poll_once()
    await one.desk.dial("a", "b")
    assert one.wakes.take() == []


async def test_a_replica_that_begins_to_listen_is_told_from_then_on(two):
    one, other = two
    async with one.listening():
        await one.arrive("a")
        bob = await other.arrive("b")
        async with other.listening():
            # Its greeting was heard, or the poll of `one` has seen it: either way it is not alone.
            await one.bus.poll_once()
            await one.desk.dial("a", "b")
            await until(bob, lambda: bob.seqs == [1, 2])


async def test_the_poll_alone_is_enough(two):
    one, other = two
    ann, bob = await one.arrive("a"), await other.arrive("b")
    for replica in two:
        await replica.bus.poll_once()
    call = (await one.desk.dial("a", "b")).call
    await one.desk.ack(call.id, "b", "b-phone")
    await poll(other)
    await other.desk.answer(call.id, "b", "b-phone")
    await one.desk.hang_up(call.id, "a")
    await poll(*two)
    assert ann.heard == bob.heard
    assert bob.heard[-1][1] == "call.ended"
    assert bob.seqs == list(range(1, len(bob.seqs) + 1))


async def poll(*replicas):
    for replica in replicas:
        await replica.bus.poll_once()
        await replica.catch_up.run_once()


async def test_the_poll_reads_nothing_that_was_heard(two):
    one, other = two
    await one.arrive("a")
    await poll(one, other)
    await one.desk.dial("a", "b")
    await poll(one)
    assert one.wanted() == set()


async def test_the_poll_finds_a_silence_that_told_no_event(two):
    one, other = two
    bob = await other.arrive("b")
    await poll(one, other)
    call = (await one.desk.dial("a", "b")).call
    await poll(other)
    assert bob.alerts == ["ring b-phone"]
    await one.desk.do(call.id, Silence(user("b"), "b"))
    await poll(other)
    assert bob.alerts == ["ring b-phone", "ring.stop silenced"]


async def test_nobody_s_call_is_not_read(two):
    one, other = two
    async with other.listening():
        await other.arrive("c")
        await one.bus.poll_once()
        async with one.listening():
            call = (await one.desk.dial("a", "b")).call
            carl = await other.arrive("carl")
            await one.desk.dial("d", "carl")
            await until(carl, lambda: carl.seqs == [1, 2])
            assert other.hub.call(call.id) is None


async def test_a_database_that_is_away_leaves_what_was_wanted(two):
    one, other = two
    bob = await other.arrive("b")
    await poll(other)
    await one.desk.dial("a", "b")
    await other.bus.poll_once()
    hot = other.database.hot

    def away():
        raise StoreUnavailableError("away")

    other.database.hot = away
    with pytest.raises(StoreUnavailableError):
        await other.catch_up.run_once()
    other.database.hot = hot
    await other.catch_up.run_once()
    assert bob.seqs == [1, 2]


async def test_a_broken_listen_connection_ends_the_task(two, db_url):
    one, _ = two
    listening = asyncio.create_task(one.bus.listen())
    async with one.database.hot() as driver:
        while not await driver.fetchval(CUT):
            assert not listening.done(), listening
    with pytest.raises(StoreUnavailableError):
        await asyncio.wait_for(listening, 10)


CUT = """
SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
WHERE application_name = 'hookswitch bus' AND datname = current_database()
"""


async def test_the_newer_socket_elsewhere_closes_the_older(two):
    one, other = two
    async with one.listening(), other.listening():
        older = await one.arrive("b")
        newer = other.come("b", app="app")
        arrival = await other.attendance.arrive(newer.session.connection)
        assert [place.connection_id for place in arrival.older] == [older.session.connection.id]
        await other.relay.close_elsewhere(arrival.older)
        async with asyncio.timeout(10):
            await older.outlet.gone.wait()
        assert older.outlet.code == REPLACED
        assert newer.outlet.code is None


def test_payloads_stay_below_what_postgresql_carries():
    wakes = Wakes(new_id())
    ids = []
    for number in range(400):
        tale = Tale(*(f"user {n} of call {number}" for n in range(3)))
        tale.call.id = str(new_id())
        ids.append(tale.call.id.replace("-", ""))
        wakes.call(Told(tale.call, (), 1))
    for _ in range(3):
        wakes.mail(new_id())
    payloads = wakes.take()
    assert max(map(len, payloads)) <= LONGEST
    said = [orjson.loads(payload) for payload in payloads]
    assert sorted(call[0] for each in said for call in each["calls"]) == sorted(ids)
    assert sum(len(each["mail"]) for each in said) == 3
    assert wakes.take() == []


def test_a_call_that_changes_often_is_said_once_with_its_newest_version():
    wakes = Wakes(new_id())
    tale = Tale("bob")
    wakes.call(tale.last)
    tale.settle(61)
    wakes.call(tale.last)
    (payload,) = wakes.take()
    ((call, version, seq, hashes),) = orjson.loads(payload)["calls"]
    assert (call, version, seq) == (tale.call.id.replace("-", ""), tale.call.version, tale.call.seq)
    assert hashes == [user_hash("app", "ann"), user_hash("app", "bob")]


async def test_60_who_is_revoked_is_closed_and_nobody_else(two):
    one, _ = two
    ann, bob = await one.arrive("a"), await one.arrive("b")
    async with one.database.hot() as driver:
        await driver.execute("UPDATE users SET tokens_valid_from = clock_timestamp() WHERE id = 'a'")
    await one.bus.poll_once()
    assert (ann.outlet.code, bob.outlet.code) == (4401, None)


async def test_60_a_suspended_app_s_sockets_are_closed(two):
    one, _ = two
    ann = await one.arrive("a")
    async with one.database.hot() as driver:
        await driver.execute("UPDATE apps SET suspended_at = clock_timestamp()")
    await one.bus.poll_once()
    assert ann.outlet.code == 4401


async def test_who_sends_no_alerts_wakes_those_who_do(database):
    heard = asyncio.Queue()
    one, other = await Replica(database).open(), await Replica(database, due=heard.put_nowait).open()
    async with database.begin() as connection:
        await put_user(connection, APP, "b", UserBody())
        push = {"provider": "fcm", "token": "phone"}
        await put_device(connection, APP, "b", "phone", DeviceBody(platform="android", push=push))
    async with one.listening(), other.listening():
        await one.bus.poll_once()
        await one.desk.dial("a", "b")
        async with asyncio.timeout(10):
            assert await heard.get() == ["fcm:app"]


def test_lanes_of_alerts_fit_into_one_payload_whatever_devices_made_of_them():
    wakes = Wakes(new_id())
    wakes.due(["webpush:" + "é" * 200, "webpush:" + "é" * 71])
    wakes.due(f"webpush:{number:0140}" for number in range(1000))
    wakes.due(["fcm:app"])
    (payload,) = wakes.take()
    assert len(payload.encode()) <= LONGEST
    assert orjson.loads(payload)["lanes"][0] == "webpush:" + "é" * 71
    assert wakes.take() == []
