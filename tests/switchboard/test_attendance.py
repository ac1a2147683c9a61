"""Connections come and go, and with them places in calls; a dead replica's are cleared by the others."""

import asyncio
from uuid import UUID, uuid4

import pytest

from service.core.commands import MediaConnected
from service.core.vocabulary import LegState, RingState
from service.store.calls import load
from service.store.connections import Connection, other_replicas
from service.store.database import StoreUnavailableError
from service.switchboard.attendance import Attendance
from tests.switchboard.desk import APP, user

LEASE_S = 60


@pytest.fixture
async def here(desk):
    return await replica(desk)


async def replica(desk, **how):
    attendance = Attendance(desk.database, desk.board, uuid4(), LEASE_S, **how)
    await attendance.open()
    return attendance


def device(who, name=None, **token):
    return Connection(uuid4(), APP, who, name or f"{who}-1", "web", **token)


async def talking(desk, here):
    """a and b in a call, both connected; returns the call's id and their connections."""
    a, b = device("a"), device("b")
    for each in (a, b):
        await here.arrive(each)
    call = (await desk.dial("a", "b")).call
    await desk.answer(call.id, "b")
    for who in ("a", "b"):
        await desk.do(call.id, MediaConnected(user(who), who, f"{who}-1"))
    return call.id, a, b


async def legs(desk, call_id):
    async with desk.database.hot() as driver:
        loaded = await load(driver, call_id)
    return {leg.user_id: leg for leg in loaded.call.legs}


async def rows(desk):
    """How many connections are noted."""
    async with desk.database.hot() as driver:
        return await driver.fetchval("SELECT count(*) FROM connections")


async def die(desk, attendance, ago="1 second"):
    """The replica is silent and its lease is over."""
    async with desk.database.hot() as driver:
        await driver.execute(
            "UPDATE replicas SET lease_until = clock_timestamp() - $2::text::interval WHERE id = $1",
            attendance._replica_id,  # noqa: SLF001 - to make its lease run out
            ago,
        )


async def test_18_who_arrives_while_dialled_rings(desk, here):
    call = (await desk.dial("a", "b")).call
    arrival = await here.arrive(device("b"))
    assert [str(call_id) for call_id in arrival.calls] == [call.id]
    (ring,) = (await legs(desk, call.id))["b"].rings
    assert (ring.device_id, ring.state) == ("b-1", RingState.SENT)


async def test_a_session_for_one_call_rings_for_no_other(desk, here):
    call = (await desk.dial("a", "b")).call
    await here.arrive(device("b", only_call=uuid4()))
    assert (await legs(desk, call.id))["b"].rings == []


async def test_a_guest_who_arrives_rings_for_nothing_and_takes_a_place_back(desk, here):
    """T-03, C-15."""
    call = (await desk.dial("a", "b")).call
    await here.arrive(device("b", guest=True))
    assert (await legs(desk, call.id))["b"].rings == []
    await desk.answer(call.id, "b")
    for who in ("a", "b"):
        await desk.do(call.id, MediaConnected(user(who), who, f"{who}-1"))
    guest = device("b", guest=True, only_call=UUID(call.id))
    await here.arrive(guest)
    await here.leave(guest)
    assert (await legs(desk, call.id))["b"].state is LegState.RECONNECTING
    await here.arrive(device("b", guest=True))
    assert (await legs(desk, call.id))["b"].state is LegState.CONNECTED


async def test_what_a_socket_rings_for_outlasts_its_replica_being_taken_for_dead(desk, here):
    stumbled = await replica(desk)
    call_id = uuid4()
    for connection in (device("a"), device("g", guest=True), device("v", only_call=call_id)):
        await stumbled.arrive(connection)
    await die(desk, stumbled)
    await here.run_once()
    await stumbled.run_once()
    async with desk.database.hot() as driver:
        noted = await driver.fetch("SELECT user_id, guest, only_call FROM connections ORDER BY user_id")
    assert [tuple(row) for row in noted] == [("a", False, None), ("g", True, None), ("v", False, call_id)]


async def test_39_who_leaves_has_a_grace_and_takes_the_place_back(desk, here):
    call_id, a, b = await talking(desk, here)
    await here.leave(b)
    assert (await legs(desk, call_id))["b"].state is LegState.RECONNECTING
    assert await rows(desk) == 1
    await here.arrive(device("b"))
    assert (await legs(desk, call_id))["b"].state is LegState.CONNECTED
    assert await desk.engaged() == {"a": call_id, "b": call_id}
    assert a


async def test_a_newer_socket_of_the_device_makes_no_flicker(desk, here):
    call_id, _, b = await talking(desk, here)
    newer = device("b")
    arrival = await here.arrive(newer)
    assert [place.connection_id for place in arrival.older] == [b.id]
    before = await desk.events(call_id)
    await here.leave(b)
    assert await desk.events(call_id) == before
    assert await rows(desk) == 2


async def test_a_socket_of_another_device_changes_nothing(desk, here):
    call_id, *_ = await talking(desk, here)
    tablet = device("b", "b-tablet")
    arrival = await here.arrive(tablet)
    assert arrival.older == ()
    await here.leave(tablet)
    assert (await legs(desk, call_id))["b"].state is LegState.CONNECTED


async def test_coming_back_while_being_told_gone_ends_connected(desk, here):
    call_id, _, b = await talking(desk, here)
    for _ in range(5):
        newer = device("b")
        await asyncio.gather(here.leave(b), here.arrive(newer))
        b = newer
        assert (await legs(desk, call_id))["b"].state is LegState.CONNECTED


async def test_40_a_dead_replica_s_users_leave_a_grace_behind(desk, here):
    dead = await replica(desk)
    call_id, *_ = await talking(desk, dead)
    await die(desk, dead)
    await here.run_once()
    assert {leg.state for leg in (await legs(desk, call_id)).values()} == {LegState.RECONNECTING}
    assert await rows(desk) == 0
    events = await desk.events(call_id)
    await here.run_once()
    assert await desk.events(call_id) == events


async def test_that_a_replica_has_died_is_told_once(desk, here):
    deaths = []
    other = await replica(desk, died=lambda: deaths.append("told"))
    await other.run_once()
    assert deaths == []
    await die(desk, here)
    await other.run_once()
    assert deaths == []  # it may have stumbled
    await die(desk, here, "1 hour")
    for _ in range(2):
        await other.run_once()
        assert deaths == ["told"]


async def test_a_device_that_is_connected_elsewhere_by_then_is_not_gone(desk, here):
    dead = await replica(desk)
    call_id, *_ = await talking(desk, dead)
    await die(desk, dead)
    await here.arrive(device("b"))
    await here.run_once()
    states = {who: leg.state for who, leg in (await legs(desk, call_id)).items()}
    assert states == {"a": LegState.RECONNECTING, "b": LegState.CONNECTED}


async def test_a_replica_taken_for_dead_restores_its_connections(desk, here):
    stumbled = await replica(desk)
    call_id, *_ = await talking(desk, stumbled)
    await die(desk, stumbled)
    await here.run_once()
    async with desk.database.hot() as driver:
        await driver.execute("DELETE FROM replicas WHERE id = $1", stumbled._replica_id)  # noqa: SLF001 - buried by others
    await stumbled.run_once()
    assert {leg.state for leg in (await legs(desk, call_id)).values()} == {LegState.CONNECTED}
    assert await rows(desk) == 2


async def test_a_replica_that_was_only_late_restores_them_too(desk, here):
    """Its row is still there, but its connections have been cleared."""
    late = await replica(desk)
    call_id, *_ = await talking(desk, late)
    await die(desk, late)
    await here.run_once()
    await late.run_once()
    assert await rows(desk) == 2
    assert {leg.state for leg in (await legs(desk, call_id)).values()} == {LegState.CONNECTED}


async def test_what_could_not_be_written_is_made_up_for(desk, here):
    call_id, _, b = await talking(desk, here)
    hot = desk.database.hot

    def away():
        raise StoreUnavailableError("away")

    desk.database.hot = away
    await here.leave(b)
    desk.database.hot = hot
    assert (await legs(desk, call_id))["b"].state is LegState.CONNECTED
    await here.run_once()
    assert (await legs(desk, call_id))["b"].state is LegState.RECONNECTING
    assert await rows(desk) == 1


async def test_a_replica_that_stops_tells_its_calls_and_goes(desk, here):
    going = await replica(desk)
    call_id, _, b = await talking(desk, going)
    await going.close()
    await going.leave(b)
    await going.run_once()
    assert {leg.state for leg in (await legs(desk, call_id)).values()} == {LegState.RECONNECTING}
    assert await rows(desk) == 0
    async with desk.database.hot() as driver:
        assert await other_replicas(driver, here._replica_id) == 0  # noqa: SLF001 - whose others


async def test_after_an_outage_the_others_may_renew_first(desk, here):
    other = await replica(desk)
    call_id, *_ = await talking(desk, other)
    for late in (here, other):
        await die(desk, late)
    before = await desk.events(call_id)
    await here.run_once()
    await other.run_once()
    for _ in range(4):
        await here.run_once()
    assert await desk.events(call_id) == before
    assert await rows(desk) == 2
