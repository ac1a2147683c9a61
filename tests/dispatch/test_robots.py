"""Test users over a real switchboard: each magic name, restarts, and two processes that play the same calls."""

import asyncio
from datetime import timedelta

import pytest

from service.core.commands import HangUp, MediaConnected, Settle
from service.dispatch.robots import Robots, RobotsConfig
from service.store.apps import AppBook
from tests.dispatch.office import HeardDesk
from tests.switchboard.desk import APP, user


class Theatre:
    """A sandbox app with robots in it."""

    def __init__(self, database, *, sandbox=True):
        self.database = database
        self.sandbox = sandbox
        self.robots = self.company()
        self.desk = HeardDesk(database, self.robots.hear, sandbox=sandbox)
        self.ended = asyncio.Event()
        self.tasks = []

    def company(self, **how):
        return Robots(self.database, AppBook(self.database, asyncio.get_running_loop().time), RobotsConfig(**how))

    async def open(self):
        await self.desk.open()
        async with self.database.hot() as driver:
            await driver.execute(
                "UPDATE apps SET settings = jsonb_build_object('sandbox', $2::boolean) WHERE id = $1", APP, self.sandbox
            )
        return self

    async def now(self, **later):
        async with self.database.hot() as driver:
            return (await driver.fetchrow("SELECT clock_timestamp() AS now"))["now"] + timedelta(**later)

    async def play(self, robots=None, **later):
        """Everything that is due after that time; how many acts it was."""
        return await (robots or self.robots).run_once(self.desk.board, await self.now(**later))

    def start(self, robots=None):
        self.tasks.append(asyncio.create_task((robots or self.robots).run(self.desk.board)))

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def told(self, type_):
        """How often that was told, about anybody."""
        return sum(envelope.type == type_ for turn in self.desk.told for envelope in turn.envelopes)

    @property
    def call(self):
        return self.desk.told[-1].call

    def hear_of(self, state):
        """An event that is set when the call is in that state."""
        there = asyncio.Event()
        self.desk.listeners = (
            *self.desk.listeners,
            lambda told: there.set() if told[-1].call.state == state else None,
        )
        return there


@pytest.fixture
async def theatre(database):
    theatre = await Theatre(database).open()
    yield theatre
    await theatre.close()


@pytest.mark.parametrize(
    ("name", "state", "end"),
    [
        ("test:answer", "connected", None),
        ("test:answer@3s", "connected", None),
        ("test:answer@1s:hangup@5s", "left", "hangup"),
        ("test:decline", "declined", "declined"),
        ("test:decline:do_not_disturb", "declined", "declined"),
        ("test:busy", "busy", "busy"),
        ("test:busy@2s", "busy", "busy"),
        ("test:silent", "ringing", None),
        ("test:offline", "invited", None),
    ],
)
async def test_each_name_behaves_as_it_says(theatre, name, state, end):
    await theatre.desk.dial("ann", name)
    for seconds in (1, 4, 7):
        await theatre.play(seconds=seconds)
    assert theatre.call.leg(name).state == state
    assert theatre.call.end_reason == end
    assert await theatre.play(hours=1) == 0


async def test_20_the_busy_one_is_busy_at_once_and_never_rings(theatre):
    await theatre.desk.dial("ann", "test:busy")
    assert (theatre.call.state, theatre.call.end_reason) == ("ended", "busy")
    assert theatre.told("participant.ringing") == 0
    assert theatre.call.leg("test:busy").rings == []
    assert await theatre.play(hours=1) == 0


async def test_a_misspelt_name_is_refused_with_what_is_wrong(theatre):
    refusal = (await theatre.desk.dial("ann", "test:juggle")).refusal
    assert refusal.code == "invalid_request"
    assert refusal.detail == "'test:juggle': there is no test user of that kind"
    await theatre.desk.dial("ann", "test:juggle", "test:answer")
    assert theatre.call.leg("test:juggle").state == "unreachable"
    assert theatre.call.leg("test:answer").state == "invited"


async def test_the_call_becomes_active_when_the_human_reports_media(theatre):
    call = (await theatre.desk.dial("ann", "test:answer")).call
    await theatre.play(seconds=1)
    assert theatre.call.state == "connecting"
    await theatre.desk.do(call.id, MediaConnected(user("ann"), "ann", "ann-1", peer="test:answer"))
    assert theatre.call.state == "active"


async def test_no_call_goes_on_between_test_users_when_the_person_has_left(theatre):
    names = ("test:answer", "test:answer@1s")
    call = (await theatre.desk.dial("zoe", *names)).call
    await theatre.play(seconds=2)
    for name in names:
        await theatre.desk.do(call.id, MediaConnected(user("zoe"), "zoe", "zoe-1", peer=name))
    assert theatre.call.state == "active"
    assert await theatre.play(hours=1) == 0
    await theatre.desk.do(call.id, HangUp(user("zoe"), "zoe", "zoe-1"))
    await theatre.play()
    assert (theatre.call.state, theatre.call.end_reason) == ("ended", "last_left")


async def test_nothing_is_done_before_its_time(theatre):
    await theatre.desk.dial("ann", "test:answer@3s")
    assert await theatre.play() == 1
    assert theatre.call.state == "ringing"
    assert await theatre.play(seconds=2.5) == 0
    assert await theatre.play(seconds=3) == 2
    assert theatre.call.state == "connecting"


async def test_a_test_user_that_is_rung_first_picks_up_and_calls_another_one(theatre):
    clicker, callee = "test:answer@1s:hangup@3s", "test:answer@2s"
    await theatre.desk.dial(clicker, callee, ring_initiator=True)
    assert await theatre.play() == 1
    assert (theatre.call.state, theatre.call.leg(clicker).state) == ("dialing", "ringing")
    await theatre.play(seconds=1)
    assert theatre.call.leg(callee).state == "ringing", "it is known for a test user, and has its device"
    assert theatre.told("call.ringing") == 1
    await theatre.play(seconds=2.5)
    assert theatre.call.state == "active"
    await theatre.play(seconds=4)
    assert (theatre.call.state, theatre.call.end_reason) == ("ended", "hangup")


@pytest.mark.parametrize(
    ("name", "end"), [("test:decline", "declined"), ("test:silent", "no_answer"), ("test:offline", "unreachable")]
)
async def test_a_test_user_does_not_take_its_own_ring(theatre, name, end):
    call = (await theatre.desk.dial(name, "ann", ring_initiator=True)).call
    await theatre.play(seconds=1)
    if end != "declined":
        await theatre.desk.make_overdue(call.id, 61)
        await theatre.desk.do(call.id, Settle(user(name)))
    assert theatre.call.end_reason == end
    assert [leg.user_id for leg in theatre.call.legs] == [name]


async def test_without_the_setting_they_are_ordinary_users(database):
    theatre = await Theatre(database, sandbox=False).open()
    await theatre.desk.online("test:answer", "test-device")
    await theatre.desk.dial("ann", "test:answer")
    assert await theatre.play(hours=1) == 0
    theatre.start()
    other = theatre.company()
    assert await theatre.play(other, hours=1) == 0
    assert theatre.call.state == "dialing"
    await theatre.close()


async def test_a_running_company_plays_by_itself(theatre):
    theatre.start()
    ended = theatre.hear_of("ended")
    await theatre.desk.dial("ann", "test:answer@50ms:hangup@100ms")
    async with asyncio.timeout(10):
        await ended.wait()
    leg = theatre.call.leg("test:answer@50ms:hangup@100ms")
    assert timedelta(milliseconds=50) <= leg.answered_at - leg.ringing_at < timedelta(seconds=2)
    assert timedelta(milliseconds=100) <= leg.ended_at - leg.answered_at < timedelta(seconds=2)


async def test_scripts_survive_a_restart(theatre):
    """The company that heard the dial is gone; a new one takes up where the call stands."""
    await theatre.desk.dial("ann", "test:answer@100ms:hangup@100ms")
    await theatre.play()
    theatre.desk.listeners = ()
    ended = theatre.hear_of("ended")
    new = theatre.company()
    theatre.desk.listeners = (new.hear, *theatre.desk.listeners)
    theatre.start(new)
    async with asyncio.timeout(10):
        await ended.wait()
    assert theatre.call.end_reason == "hangup"


async def test_what_another_process_left_undone_is_taken_up_when_it_is_late(theatre):
    """A company that has long been running and hears of nothing."""
    theatre.desk.listeners = ()
    ended = theatre.hear_of("ended")
    theatre.start(theatre.company(look_s=0.05, late_s=0.2))
    await theatre.desk.dial("ann", "test:busy@1ms")
    async with asyncio.timeout(10):
        await ended.wait()
    assert theatre.call.end_reason == "busy"


async def test_two_companies_do_each_act_once(theatre):
    other = theatre.company()
    theatre.desk.listeners = (*theatre.desk.listeners, other.hear)
    await theatre.desk.dial("ann", "test:answer", "test:decline@1s", "test:answer@2s:hangup@1s")
    for seconds in (1, 3, 5):
        await asyncio.gather(theatre.play(seconds=seconds), theatre.play(other, seconds=seconds))
    assert theatre.told("participant.ringing") == 3
    assert theatre.told("participant.answered") == 2
    assert theatre.told("participant.declined") == 1
    assert theatre.told("participant.left") == 1
    call = theatre.call
    async with theatre.database.hot() as driver:
        seqs = [row["seq"] for row in await driver.fetch("SELECT seq FROM events ORDER BY seq")]
    assert seqs == list(range(1, call.seq + 1))


async def test_many_calls_at_once(theatre):
    for n in range(20):
        await theatre.desk.dial(f"ann{n}", f"test:answer@{n}ms")
    await theatre.play(seconds=2)
    assert theatre.told("participant.joined") == 20
