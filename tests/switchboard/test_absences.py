"""A device whose socket closed counts as connected in presence for a while, because it may come back.

Queries and events alike; what rings goes by the sockets that are there.
"""

from datetime import timedelta
from uuid import uuid4

import pytest

from service.store.connections import Connection, bury_replicas
from service.store.devices import put_device
from service.store.users import forget_user, revoke_tokens
from service.switchboard.attendance import Attendance
from service.switchboard.devices import unregister
from service.switchboard.presence import look
from service.wire.devices import DeviceBody
from tests.switchboard.desk import APP, Desk, user

LEASE_S = 60


class Porch:
    """One replica's door: people come, go, and may come back."""

    def __init__(self, desk):
        self.desk = desk
        self.database = desk.database
        self.id = uuid4()
        self.attendance = Attendance(desk.database, desk.board, self.id, LEASE_S)

    async def come(self, who, name=None, **token):
        connection = Connection(uuid4(), APP, who, name or f"{who}-1", "ios", "7", **token)
        await self.attendance.arrive(connection)
        return connection

    async def seen(self, who):
        (found,) = await look(self.database, self.desk.board, APP, self.desk.settings, [who])
        return found

    async def states(self, who):
        seen = await self.seen(who)
        return seen.state.value, seen.reachable.value, [device.state.value for device in seen.devices]

    async def run(self, query, *arguments):
        async with self.database.hot() as driver:
            return await driver.fetchval(query, *arguments)

    async def set(self, settings):
        await self.run("UPDATE apps SET settings = $1::text::jsonb", settings)

    async def until(self):
        """For how many seconds the one device that is gone is waited for, roughly."""
        return round(await self.run("SELECT extract(epoch FROM until - clock_timestamp())::float8 FROM absences"))


HERE = ("online", "connected", ["online"])
GONE = ("offline", "none", [])


@pytest.fixture
async def porch(desk):
    porch = Porch(desk)
    await porch.attendance.open()
    return porch


async def test_whoever_has_just_gone_is_still_there_in_presence_and_does_not_ring(porch):
    ann = await porch.come("ann")
    before = await porch.seen("ann")
    await porch.attendance.leave(ann)
    after = await porch.seen("ann")
    assert await porch.states("ann") == HERE
    assert (after.since, after.devices[0].app_version) == (before.since, "7")
    assert abs(await porch.until() - LEASE_S) <= 5
    assert before.stale_at is None
    assert after.stale_at - after.last_seen_at - timedelta(seconds=LEASE_S) < timedelta(seconds=5)
    call = (await porch.desk.dial("ben", "ann")).call
    assert call.leg("ann").rings == []


async def test_whoever_comes_back_in_time_was_never_away(porch):
    await porch.attendance.leave(await porch.come("ann"))
    await porch.come("ann")
    assert await porch.states("ann") == HERE
    assert (await porch.seen("ann")).stale_at is None
    assert await porch.run("SELECT count(*) FROM absences") == 0


async def test_whoever_does_not_is_gone(porch):
    await porch.attendance.leave(await porch.come("ann"))
    await porch.run("UPDATE absences SET until = clock_timestamp()")
    assert await porch.states("ann") == GONE
    async with porch.database.hot() as driver:
        await bury_replicas(driver, 60)
        assert await driver.fetchval("SELECT count(*) FROM absences") == 1
        await bury_replicas(driver, 0)
        assert await driver.fetchval("SELECT count(*) FROM absences") == 0


async def test_another_device_has_nothing_to_do_with_it(porch):
    await porch.attendance.leave(await porch.come("ann"))
    await porch.come("ann", "tablet")
    await porch.run("UPDATE absences SET until = clock_timestamp()")
    assert await porch.states("ann") == HERE


@pytest.mark.parametrize(
    ("settings", "grace"),
    [('{"presence_grace_s": 5}', 5), ('{"presence_grace_s": null}', LEASE_S), ("{}", LEASE_S)],
)
async def test_the_app_says_how_long(porch, settings, grace):
    await porch.set(settings)
    await porch.attendance.leave(await porch.come("ann"))
    assert abs(await porch.until() - grace) <= 5


async def test_an_app_may_want_to_know_at_once(porch):
    await porch.set('{"presence_grace_s": 0}')
    await porch.attendance.leave(await porch.come("ann"))
    assert await porch.states("ann") == GONE


@pytest.mark.parametrize(
    "throw_out",
    [
        "UPDATE users SET tokens_valid_from = clock_timestamp()",
        "UPDATE apps SET suspended_at = clock_timestamp()",
    ],
)
async def test_whoever_was_thrown_out_is_not_waited_for(porch, throw_out):
    ann = await porch.come("ann")
    await porch.run(throw_out)
    await porch.attendance.leave(ann)
    assert await porch.states("ann") == GONE


async def test_who_was_thrown_out_before_it_came_is_waited_for(porch):
    await porch.come("ann")
    async with porch.database.begin() as connection:
        await revoke_tokens(connection, APP, "ann")
    await porch.attendance.leave(await porch.come("ann"))
    assert await porch.states("ann") == HERE


async def test_a_device_that_is_unregistered_and_a_user_that_is_deleted_are_gone_at_once(porch):
    phone, tablet = await porch.come("ann"), await porch.come("ann", "tablet")
    async with porch.database.begin() as connection:
        await put_device(connection, APP, "ann", "ann-1", DeviceBody(platform="ios"))
    for connection in (phone, tablet):
        await porch.attendance.leave(connection)
    await unregister(porch.database, porch.desk.board, APP, "ann", "ann-1", user("ann"))
    assert [device.device_id for device in (await porch.seen("ann")).devices] == ["tablet"]
    async with porch.database.begin() as connection:
        await forget_user(connection, APP, "ann")
    assert await porch.run("SELECT count(*) FROM absences") == 0


async def test_a_registered_device_is_waited_for_too_and_then_is_offline(porch):
    async with porch.database.begin() as connection:
        await porch.desk.online("ann", "other")
        await put_device(connection, APP, "ann", "ann-1", DeviceBody(platform="ios"))
    await porch.run("DELETE FROM connections")
    await porch.attendance.leave(await porch.come("ann"))
    assert await porch.states("ann") == HERE
    await porch.run("UPDATE absences SET until = clock_timestamp()")
    assert await porch.states("ann") == ("offline", "none", ["offline"])


async def test_a_guest_is_waited_for_and_cannot_be_rung_meanwhile(porch):
    await porch.come("gast", "laptop")
    await porch.attendance.leave(await porch.come("gast", guest=True))
    await porch.run("DELETE FROM connections")
    assert await porch.states("gast") == ("online", "none", ["online"])


async def test_a_replica_that_stops_leaves_its_devices_a_moment_to_come_back_elsewhere(porch):
    for name in ("ann", "ben"):
        await porch.come(name)
    await porch.attendance.close()
    for name in ("ann", "ben"):
        assert await porch.states(name) == HERE
    assert await porch.run("SELECT count(*) FROM connections") == 0
    other = Porch(porch.desk)
    await other.attendance.open()
    await other.come("ann")
    await porch.run("UPDATE absences SET until = clock_timestamp()")
    assert await porch.states("ann") == HERE
    assert await porch.states("ben") == GONE


async def test_whose_replica_died_has_been_waited_for_already(porch):
    await porch.come("ann")
    await porch.run("UPDATE replicas SET lease_until = clock_timestamp() - interval '1 s'")
    assert await porch.states("ann") == GONE
    other = Porch(Desk(porch.database))
    await other.attendance.open()
    await other.attendance.run_once()
    assert await porch.run("SELECT count(*) FROM connections") == 0
    assert await porch.states("ann") == GONE
