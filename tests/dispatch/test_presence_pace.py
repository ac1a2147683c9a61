"""When `presence.changed` is told: a change at once, of a burst the newest truth, an absence only if it lasts."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random
from uuid import uuid4

import orjson
import pytest

from service.core.commands import Join, MediaConnected
from service.store.connections import Connection
from service.switchboard.attendance import Attendance
from service.switchboard.presence import look
from service.wire.presence import presence_view
from tests.dispatch.office import Wire
from tests.dispatch.test_presence import Town
from tests.switchboard.desk import APP, user

LONG_S = 1_000
WITHIN_S = 10


class Square(Town):
    """A town whose teller runs as in a process."""

    def __init__(self, database, **how):
        super().__init__(database)
        self.teller = self.another(**{"every_s": 0.2, **how})
        self.desk.listeners = (self.teller.hear,)
        self.door = Attendance(database, self.desk.board, uuid4(), 60, self.teller.mark)
        self.told_of = asyncio.Condition()
        self.streams = {}

    def hear(self, spoken):
        super().hear(spoken)
        for envelope in spoken.envelopes:
            data = orjson.loads(envelope.text)["data"]
            self.streams.setdefault(data["user_id"], []).append(data["presence"])
        self.spoken.set()

    @asynccontextmanager
    async def telling(self):
        await self.desk.open()
        await self.door.open()
        task = asyncio.create_task(self.teller.run(self.desk.board))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, wanted):
        """Wait until what was told is as wanted."""
        async with asyncio.timeout(WITHIN_S):
            while not wanted():
                self.spoken.clear()
                await self.spoken.wait()

    async def flag(self, who, *, disturb):
        await self.rows(
            """INSERT INTO users (app_id, id, do_not_disturb) VALUES ($1, $2, $3)
               ON CONFLICT (app_id, id) DO UPDATE SET do_not_disturb = $3""",
            APP,
            who,
            not disturb,
        )
        self.teller.mark(APP, who)

    def flags(self, who):
        return [told["do_not_disturb"] for told in self.streams.get(who, [])]

    async def come(self, who):
        connection = Connection(uuid4(), APP, who, f"{who}-1", "web")
        await self.door.arrive(connection)
        return connection

    def seen(self, who):
        return [f"{told['state']} {told['activity']}" for told in self.streams.get(who, [])]


async def test_a_single_change_is_told_at_once_and_the_next_one_of_the_same_user_waits(database):
    async with Square(database, every_s=LONG_S).telling() as square:
        await square.flag("ann", disturb=False)
        await square.until(lambda: square.flags("ann") == [True])
        await square.flag("ann", disturb=True)
        for name in ("ben", "cem"):
            await square.flag(name, disturb=False)
            await square.until(lambda name=name: square.flags(name) == [True])
        assert square.flags("ann") == [True], "her time has not come, and nobody else waits for it"
        assert await square.look() == 1, "but she is not forgotten"


async def test_the_newest_truth_comes_last_and_no_two_come_sooner_than_that(database):
    async with Square(database).telling() as square:
        for number in range(41):
            await square.flag("ann", disturb=number % 2 == 1)
        await square.until(lambda: square.flags("ann")[-1:] == [True])
        await square.flag("ann", disturb=True)
        await square.until(lambda: square.flags("ann")[-1:] == [False])
        gaps = await square.rows(
            """SELECT min(gap)::float8 AS gap FROM (
                 SELECT extract(epoch FROM created_at - lag(created_at) OVER (ORDER BY seq)) AS gap
                 FROM events WHERE type = 'presence.changed') g"""
        )
    assert gaps[0]["gap"] >= 0.195
    assert all(one != other for one, other in pairwise(square.flags("ann")))


async def test_another_process_does_not_tell_sooner_either(database):
    square = Square(database, every_s=LONG_S)
    await square.desk.open()
    other = square.another(every_s=LONG_S)
    await square.flag("ann", disturb=False)
    await square.look()
    await square.flag("ann", disturb=True)
    other.mark(APP, "ann")
    assert await square.look(other) == 1
    assert square.flags("ann") == [True]
    await square.rows("UPDATE users SET presence_told_at = presence_told_at - make_interval(secs => 1000)")
    assert await square.look(other) == 1, "it is still marked"
    assert square.flags("ann") == [True, False]


class Halting(Wire):
    """A database that halts one who comes for the `nth` time, until let go on."""

    def __init__(self, database, nth):
        super().__init__(database)
        self.left = nth
        self.halted, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def hot(self):
        self.left -= 1
        if self.left == 0:
            self.halted.set()
            await self.go_on.wait()
        async with self.database.hot() as driver:
            yield driver


async def test_the_last_word_is_the_truth_also_where_two_processes_look_at_the_same_user(database):
    """One has looked and is slow to write. Meanwhile all is as it was before: the other one finds nothing to tell."""
    square = Square(database, every_s=0)
    await square.desk.open()
    await square.flag("ann", disturb=True)
    await square.look()
    square.wire = Halting(database, nth=3)
    slow = square.another(every_s=0)
    await square.flag("ann", disturb=False)
    slow.mark(APP, "ann")
    told = asyncio.create_task(square.look(slow))
    await square.wire.halted.wait()
    await square.flag("ann", disturb=True)
    await square.look()
    square.wire.go_on.set()
    await told
    square.spoken.clear()
    task = asyncio.create_task(slow.run(square.desk.board))
    await square.until(lambda: square.flags("ann") == [True, False])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_whoever_is_back_within_the_grace_is_told_nothing_of(database):
    async with Square(database).telling() as square:
        ann = await square.come("ann")
        await square.until(lambda: square.seen("ann") == ["online idle"])
        for _ in range(3):
            await square.door.leave(ann)
            ann = await square.come("ann")
        await square.flag("ben", disturb=False)  # whoever is marked later is looked at later
        await square.until(lambda: square.flags("ben") == [True])
        assert square.seen("ann") == ["online idle"]


async def test_whoever_is_not_back_is_told_offline_by_itself(database):
    async with Square(database).telling() as square:
        await square.rows("""UPDATE apps SET settings = '{"presence_grace_s": 1}'""")
        ann = await square.come("ann")
        await square.until(lambda: square.seen("ann") == ["online idle"])
        await square.door.leave(ann)
        await square.until(lambda: square.seen("ann") == ["online idle", "offline idle"])
        (row,) = await square.rows(
            """SELECT extract(epoch FROM e.created_at - a.until)::float8 AS late FROM absences a, events e
               WHERE e.type = 'presence.changed' ORDER BY e.seq DESC LIMIT 1"""
        )
    assert 0 <= row["late"] < 4, "at once, and not only when the database is asked what has run out"


async def test_what_another_system_said_runs_out_at_once(database):
    async with Square(database, expiry_s=LONG_S).telling() as square:
        await square.come("ann")
        await square.rows(
            """INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
               VALUES ('app', 'ann', 'desk', '{"state": "busy"}', clock_timestamp() + interval '1 second')"""
        )
        square.teller.mark(APP, "ann")
        await square.until(lambda: square.seen("ann")[-2:] == ["busy in_call", "online idle"])


async def test_an_absence_that_nobody_here_has_seen_is_found(database):
    """The process that saw the socket close has died since."""
    square = Square(database)
    async with square.telling():
        await square.door.leave(await square.come("ann"))
        await square.until(lambda: square.seen("ann") == ["online idle"])
    await square.rows("UPDATE absences SET until = clock_timestamp() - interval '1 second'")
    heir = Square(database, patience_s=LONG_S)
    async with heir.telling():
        await heir.until(lambda: heir.seen("ann") == ["offline idle"])


async def test_after_a_start_devices_have_a_moment_to_come_back(database):
    """Everybody who was told online before a crash is looked at again, but not before they could connect again."""
    square = Square(database)
    async with square.telling():
        await square.come("ann")
        await square.until(lambda: square.seen("ann") == ["online idle"])
    await square.rows("DELETE FROM connections")
    heir = Square(database, patience_s=1)
    async with heir.telling():
        await heir.flag("ben", disturb=False)
        await heir.until(lambda: heir.flags("ben") == [True])
        assert heir.seen("ann") == []
        await heir.until(lambda: heir.seen("ann") == ["offline idle"])


async def test_a_call_that_moves_between_devices_is_one_event(database):
    square = Square(database, every_s=0)
    await square.desk.open()
    await square.online("ann")
    await square.online("ben")
    call = await square.talk("ann", "ben")
    await square.look()
    await square.desk.do(call.id, Join(user("ben"), "ben", "ben-pc"))
    await square.look()
    await square.desk.do(call.id, MediaConnected(user("ben"), "ben", "ben-pc", peer="ann"))
    await square.look()
    assert square.seen("ben") == ["busy in_call", "busy in_call"]
    assert [{d["device_id"]: d["state"] for d in told["devices"]} for told in square.streams["ben"]] == [
        {"ben-1": "busy"},
        {"ben-1": "online"},
    ]
    assert square.seen("ann") == ["busy in_call"]


def without_times(told):
    """A presence as it is told, but for times and its number."""
    devices = [{**device, "last_seen_at": None} for device in told["devices"]]
    return {**told, "since": None, "last_seen_at": None, "expires_at": None, "seq": None, "devices": devices}


class Life:
    """A user to whom things happen by chance."""

    def __init__(self, square, seed):
        self.square, self.who, self.chance = square, f"ann{seed}", Random(seed)
        self.here, self.call, self.disturb = None, None, True

    async def step(self):
        await self.chance.choice((self.door, self.door, self.flag, self.phone, self.desk_phone, self.time))()

    async def door(self):
        if self.here:
            await self.square.door.leave(self.here)
            self.here = None
        else:
            self.here = await self.square.come(self.who)

    async def flag(self):
        self.disturb = not self.disturb
        await self.square.flag(self.who, disturb=self.disturb)

    async def phone(self):
        if self.call:
            await self.square.desk.hang_up(self.call, self.who)
            self.call = None
        else:
            self.call = (await self.square.desk.dial(self.who, f"friend of {self.who}")).call.id

    async def desk_phone(self):
        expires = self.chance.choice((-1, 60))
        await self.square.rows("INSERT INTO users (app_id, id) VALUES ('app', $1) ON CONFLICT DO NOTHING", self.who)
        await self.square.rows(
            """INSERT INTO presence_sources (app_id, user_id, source, facts, expires_at)
               VALUES ('app', $1, 'desk', '{"state": "busy"}', clock_timestamp() + make_interval(secs => $2))
               ON CONFLICT (app_id, user_id, source) DO UPDATE SET expires_at = excluded.expires_at""",
            self.who,
            expires,
        )
        self.square.teller.mark(APP, self.who)

    async def time(self):
        """Whoever is away has been so for too long."""
        await self.square.rows("UPDATE absences SET until = clock_timestamp() WHERE user_id = $1", self.who)
        self.square.teller.mark(APP, self.who)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_the_last_word_is_the_truth_and_nothing_is_said_twice(database, seed):
    square = Square(database, every_s=0)
    await square.desk.open()
    await square.door.open()
    other = square.another()
    square.desk.listeners = (square.teller.hear, other.hear)
    life = Life(square, seed)
    for _ in range(14):
        await life.step()
        if life.chance.random() < 0.5:
            await asyncio.gather(square.look(), square.look(other))
    while await square.look() + await square.look(other):
        pass
    told = await square.told(life.who)
    assert [event["data"]["seq"] for event in told] == list(range(1, len(told) + 1))
    assert [event["data"]["prev"] for event in told] == ["", *(event["data"]["hash"] for event in told[:-1])]
    seen = [without_times(event["data"]["presence"]) for event in told]
    assert all(one != other for one, other in pairwise(seen))
    (truth,) = await look(database, square.desk.board, APP, square.desk.settings, [life.who])
    expected = without_times(presence_view(truth).model_dump(mode="json"))
    assert seen[-1:] in ([expected], []), "or nothing was told because there never was anything to tell"
    assert seen or (truth.state, truth.do_not_disturb) == ("offline", False)
