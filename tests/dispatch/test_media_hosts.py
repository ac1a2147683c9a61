"""Hosts of routed calls: what they missed they find, and what they leave behind is taken over in good time."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.core.calls import Room
from service.core.vocabulary import LegState, Topology
from service.dispatch.media import MediaControl, MediaControlConfig
from service.live.errands import Errand, Errands
from service.live.wakes import Wakes
from service.store.connections import unregister_replica
from service.store.database import ConflictError, StoreUnavailableError
from service.wire.feed import Told, new_id
from tests.core.story import NOON, talking
from tests.dispatch.rooms import look, read


class FaultyDesk:
    """The first mail cannot be sent."""

    def __init__(self):
        self.tries = 0
        self.posted = []

    async def follow(self, call_id, host):
        self.tries += 1
        if self.tries == 1:
            raise StoreUnavailableError("it is away")
        self.posted.append((call_id, host))


class Fought:
    """A switchboard at which somebody else is always quicker."""

    async def do(self, app_id, call_id, command):
        raise ConflictError(f"call {call_id} is fought over")


def carried_by(host, version=3):
    """A routed call whose room that replica has."""
    call = talking("bob", topology=Topology.ROUTED).call
    call.id, call.version, call.room = str(new_id()), version, Room(since=NOON, host=str(host))
    return call


async def test_the_host_is_told_of_a_turn_once_the_database_is_back(hired):
    one, desk = await hired(running=False), FaultyDesk()
    call = await one.routed("a", "b")
    await look(one)
    control = MediaControl(one.database, desk, Wakes(new_id()), Errands(), {}, None, MediaControlConfig(again_s=0.0))
    control.hear([Told(await read(one, call), (), 1)])
    await control.settle(one.desk.board)
    assert desk.posted == [(UUID(call.id), one.id)]


async def test_a_told_turn_is_kept_when_the_call_is_to_be_read_besides():
    errands, call = Errands(), carried_by(new_id())
    errands.call(call)
    errands.read(UUID(call.id))
    assert errands.take() == {UUID(call.id): Errand(call, read=True)}
    errands.read(UUID(call.id))
    assert errands.take() == {UUID(call.id): Errand(None, read=True)}


async def test_the_newest_of_two_turns_is_looked_after():
    errands, call = Errands(), carried_by(new_id())
    older = carried_by(new_id(), version=2)
    older.id = call.id
    errands.call(call)
    errands.call(older)
    assert errands.take() == {UUID(call.id): Errand(call)}


async def test_a_turn_that_the_host_was_not_told_of_is_found_by_its_next_look(hired):
    one, other = await hired(running=False), await hired(running=False)
    call = await one.routed("a", "b", "c")
    await look(one)
    assert len(one.sfu.members[call.id]) == 3
    await other.desk.hang_up(call.id, "c")
    await look(one)
    assert one.sfu.members[call.id] == [("a", "a-phone"), ("b", "b-phone")]


async def test_a_host_that_died_is_replaced_at_the_second_look(hired, database):
    gone, other = await hired(running=False), await hired(running=False, looks={"back_s": 3600.0})
    call = await gone.routed("a", "b")
    await look(gone)
    assert call.id in gone.sfu.rooms
    async with database.hot() as driver:
        await driver.execute("UPDATE replicas SET lease_until = $1 WHERE id = $2", NOON - timedelta(days=1), gone.id)
    for epoch in (1, 2):
        await look(other)
        assert (await read(other, call)).room.epoch == epoch
    assert other.sfu.rooms == {call.id: 2}


@pytest.mark.parametrize(("back_s", "epoch"), [(0.0, 2), (3600.0, 1)])
async def test_a_host_that_said_goodbye_is_waited_for_because_it_may_come_back(hired, database, back_s, epoch):
    gone, other = await hired(running=False), await hired(running=False, looks={"back_s": back_s})
    call = await gone.routed("a", "b")
    await look(gone)
    async with database.hot() as driver:
        await unregister_replica(driver, gone.id, 0.0)
    for _ in range(3):
        await look(other)
    assert (await read(other, call)).room.epoch == epoch
    assert all(leg.state is not LegState.RECONNECTING for leg in (await read(other, call)).legs)


async def test_a_dead_host_s_call_that_is_fought_over_is_looked_at_again(hired, database):
    gone, other = await hired(running=False), await hired(running=False)
    call = await gone.routed("a", "b")
    await look(gone)
    async with database.hot() as driver:
        await driver.execute("UPDATE replicas SET lease_until = $1 WHERE id = $2", NOON - timedelta(days=1), gone.id)
    await look(other)
    await other.control.run_once(Fought())
    assert (await read(other, call)).room.epoch == 1
    await look(other)
    assert (await read(other, call)).room.epoch == 2


async def test_59_a_worker_whose_call_is_fought_over_is_taken_over_at_the_next_look(hired):
    gone, back = await hired(running=False), await hired(running=False)
    call = await gone.routed("a", "b")
    await gone.control.settle(gone.desk.board)
    back.sfu.orphan(call)
    await back.control.adopt(Fought())
    assert back.sfu.dropped == []
    await look(back)
    assert (await read(back, call)).room.host == str(back.id)
