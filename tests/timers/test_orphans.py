"""A place in a call that nobody holds begins its grace; one that somebody holds, or never had to hold, does not."""

import pytest

from service.core.calls import SERVER, Actor
from service.core.commands import Answer, MediaConnected, MediaUp, OpenRoom, Settle
from service.core.vocabulary import ActorType, LegState, Topology
from service.switchboard.board import Switchboard
from service.switchboard.people import DialRequest, Wanted
from service.timers.leases import Orphans
from tests.switchboard.desk import Desk, user


@pytest.fixture
def orphans(database, desk):
    return Orphans(database, desk.board)


@pytest.fixture
async def talking(desk):
    """Two people in a call, each on a live socket; the caller's is then lost without a word."""
    await desk.online("a")
    await desk.online("b")
    call = (await desk.dial("a", "b")).call
    await desk.answer(call.id, "b")
    for who in ("a", "b"):
        await desk.do(call.id, MediaConnected(user(who), who, f"{who}-1"))
    return call.id


async def lose(desk, who):
    async with desk.database.hot() as driver:
        await driver.execute("DELETE FROM connections WHERE user_id = $1", who)


async def leg(desk, call, who):
    return (await desk.do(call, Settle(SERVER))).call.leg(who)


async def test_40_a_device_that_vanished_without_a_word_gets_its_grace(desk, orphans, talking):
    await lose(desk, "a")
    assert await orphans.run_once() == 0, "once may be a device that is just coming back"
    assert (await leg(desk, talking, "a")).state is LegState.CONNECTED
    assert await orphans.run_once() == 1
    assert (await leg(desk, talking, "a")).state is LegState.RECONNECTING
    assert (await leg(desk, talking, "b")).state is LegState.CONNECTED
    assert await orphans.run_once() == 0


async def test_who_comes_back_between_two_looks_keeps_its_place(desk, orphans, talking):
    await lose(desk, "a")
    await orphans.run_once()
    await desk.online("a")
    assert await orphans.run_once() == 0
    await lose(desk, "a")
    assert await orphans.run_once() == 0, "it must be missing twice in a row"


async def test_40_another_device_of_the_same_user_does_not_hold_the_place(desk, orphans, talking):
    await desk.online("a", "a-tablet")
    async with desk.database.hot() as driver:
        await driver.execute("DELETE FROM connections WHERE device_id = 'a-1'")
    await orphans.run_once()
    assert await orphans.run_once() == 1
    assert (await leg(desk, talking, "a")).state is LegState.RECONNECTING


async def in_a_call(desk, who, device):
    """That device talks, and has no socket."""
    await desk.online("z")
    call = (await desk.dial("z", who)).call
    await desk.do(call.id, Answer(user(who), who, device))
    for peer, place in (("z", "z-1"), (who, device)):
        await desk.do(call.id, MediaConnected(user(peer), peer, place))
    return call.id


async def sandbox(desk):
    async with desk.database.hot() as driver:
        await driver.execute("""UPDATE apps SET settings = '{"sandbox": true}'""")


async def test_a_test_user_of_a_sandbox_needs_no_socket(database):
    desk = await Desk(database, sandbox=True).open()
    await sandbox(desk)
    call = await in_a_call(desk, "test:answer", "test-device")
    for _ in range(3):
        assert await Orphans(database, desk.board).run_once() == 0
    assert (await leg(desk, call, "test:answer")).state is LegState.CONNECTED


@pytest.mark.parametrize(
    ("who", "device", "boxed"),
    [
        ("u", "test-device", False),
        ("u", "test-device", True),
        ("test:answer", "test-device", False),
        ("test:answer", "phone", True),
    ],
)
async def test_nobody_else_is_taken_for_one(desk, orphans, who, device, boxed):
    if boxed:
        await sandbox(desk)
    call = await in_a_call(desk, who, device)
    await orphans.run_once()
    assert await orphans.run_once() == 1
    assert (await leg(desk, call, who)).state is LegState.RECONNECTING


async def test_in_a_routed_call_the_worker_says_who_is_there(desk, orphans):
    """Who publishes by plain HTTP has no socket, and is no orphan for that."""
    media = Actor(ActorType.MEDIA, "here")
    routed = Switchboard(desk.database, workers=True)
    request = DialRequest(
        "app", desk.settings, user("a"), "a", (Wanted("b"),), topology=Topology.ROUTED, device_id="a-1"
    )
    call = (await routed.dial(request)).call
    await desk.answer(call.id, "b")
    await desk.do(call.id, OpenRoom(media, "here", 1))
    for number, who in enumerate("ab", 1):
        await desk.do(call.id, MediaUp(media, who, f"{who}-1", 1, number))
    assert (await leg(desk, call.id, "b")).state is LegState.CONNECTED
    for _ in range(3):
        assert await orphans.run_once() == 0


async def test_whoever_never_had_a_socket_is_no_orphan(desk, orphans):
    call = (await desk.dial("a", "b")).call
    await desk.answer(call.id, "b")
    for _ in range(3):
        assert await orphans.run_once() == 0
