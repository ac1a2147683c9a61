"""Deadlines on time: nobody stays busy, each timer fires once, late is said to be late."""

import asyncio
import json
from statistics import median
from uuid import UUID

import pytest

from service.switchboard.board import Switchboard
from service.timers.deadlines import Deadlines, DeadlinesConfig
from tests.fixtures import deadlines
from tests.switchboard.desk import Desk

QUICK = DeadlinesConfig(batch=20)


class Ear:
    """A listener that can be waited for."""

    def __init__(self):
        self.ended = {}
        self._changed = asyncio.Event()

    def told(self, batch):
        for told in batch:
            for envelope in told.envelopes:
                if envelope.type == "call.ended":
                    data = json.loads(envelope.text)["data"]
                    self.ended.setdefault(told.call.id, []).append(data)
                    self._changed.set()

    async def until(self, number):
        async with asyncio.timeout(20):
            while len(self.ended) < number:
                await self._changed.wait()
                self._changed.clear()

    @property
    def lateness_ms(self):
        return sorted(data["late_by_ms"] for ends in self.ended.values() for data in ends)


class Replica:
    """One process's sweep with its own switchboard."""

    def __init__(self, database, ear, config=QUICK):
        self.late = []
        self.board = Switchboard(database, [ear.told, self._told])
        self.deadlines = Deadlines(database, self.board, self.late.append, config)

    def _told(self, batch):
        self.deadlines.told(batch)


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
async def replica(database, ear):
    return Replica(database, ear)


async def run_while(replicas, something):
    tasks = [asyncio.create_task(replica.deadlines.run()) for replica in replicas]
    try:
        return await something
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def due_in(desk, seconds, *calls):
    async with desk.database.hot() as driver:
        await deadlines.due_in(driver, seconds, [call.id for call in calls])


async def dial_pairs(desk, number):
    calls = []
    for pair in range(number):
        outcome = await desk.dial(f"a{pair}", f"b{pair}")
        calls.append(outcome.call)
    return calls


async def test_16_everything_overdue_is_settled_in_rounds_and_says_how_late_it_was(desk, replica, ear):
    calls = await dial_pairs(desk, 45)
    await due_in(desk, -3, *calls)
    assert await replica.deadlines.run_once() == 45
    assert len(ear.ended) == 45
    assert all(len(ends) == 1 for ends in ear.ended.values())
    assert all(3000 <= late < 30_000 for late in ear.lateness_ms)
    assert all(seconds >= 3 for seconds in replica.late)
    assert await desk.engaged() == {}
    assert await replica.deadlines.run_once() == 0


async def test_what_is_not_due_is_left_alone(desk, replica):
    (call,) = await dial_pairs(desk, 1)
    assert await replica.deadlines.run_once() == 0
    assert set((await desk.engaged()).values()) == {call.id}


async def test_a_sleeping_sweep_settles_on_time(desk, replica, ear):
    calls = await dial_pairs(desk, 30)
    for number, call in enumerate(calls):
        await due_in(desk, 0.6 + number / 100, call)
    await run_while([replica], ear.until(30))
    assert median(ear.lateness_ms) < 50  # some 3 ms on a machine of one's own; bench/ measures it


async def test_a_deadline_written_here_wakes_the_sweep(database, ear):
    """Without the poll: only the listener can tell the sweep of an earlier deadline."""
    replica = Replica(database, ear, DeadlinesConfig(poll_s=3600))
    desk = Desk(database, ring_timeout_s=1)
    desk.board = replica.board
    await desk.open()

    async def dial_and_wait():
        await replica.deadlines.run_once()
        call = (await desk.dial("a", "b")).call
        await ear.until(1)
        return call

    call = await run_while([replica], dial_and_wait())
    (ended,) = ear.ended[call.id]
    assert ended["call"]["end_reason"] in {"no_answer", "unreachable"}


async def test_a_deadline_written_by_another_replica_is_found_by_the_poll(desk, database, ear):
    replica = Replica(database, ear, DeadlinesConfig(poll_s=0.05))

    async def elsewhere():
        (call,) = await dial_pairs(desk, 1)
        await due_in(desk, 0.2, call)
        await ear.until(1)

    await run_while([replica], elsewhere())


async def test_two_replicas_fire_each_timer_once_and_share_the_work(desk, database, ear):
    replicas = [Replica(database, ear), Replica(database, ear)]
    calls = await dial_pairs(desk, 200)
    await due_in(desk, 0.3, *calls)
    await run_while(replicas, ear.until(200))
    assert all(len(ends) == 1 for ends in ear.ended.values())
    ended = await count(database, "SELECT count(*) FROM events WHERE type = 'call.ended'")
    assert ended == 200
    assert all(replica.late for replica in replicas)


async def test_a_call_that_another_replica_is_settling_is_left_to_it_and_looked_at_again(desk, database, ear):
    replica = Replica(database, ear, DeadlinesConfig(poll_s=0.05))
    (call,) = await dial_pairs(desk, 1)
    await due_in(desk, -1, call)
    async with database.hot() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM calls WHERE id = $1 FOR UPDATE", UUID(call.id))
        assert await replica.deadlines.run_once() == 0
        await transaction.rollback()
    await run_while([replica], ear.until(1))


async def test_more_deadlines_than_one_look_reads_are_all_met(desk, database, ear):
    replica = Replica(database, ear, DeadlinesConfig(poll_s=3600, most=3))
    for number, call in enumerate(await dial_pairs(desk, 10)):
        await due_in(desk, 0.2 + number / 50, call)
    await run_while([replica], ear.until(10))


async def count(database, query):
    async with database.hot() as driver:
        return await driver.fetchval(query)


async def test_12_an_answer_at_the_deadline_is_settled_first_and_refused(desk, replica):
    (call,) = await dial_pairs(desk, 1)
    await due_in(desk, -1, call)
    outcome = await desk.answer(call.id, "b0")
    assert outcome.refusal
    assert outcome.call.ended
    assert await replica.deadlines.run_once() == 0


async def test_13_timer_and_answer_race_and_exactly_one_wins(desk, replica, ear):
    calls = await dial_pairs(desk, 30)
    await due_in(desk, 0.15, *calls)

    async def answer_around_the_deadline():
        gate = asyncio.Semaphore(4)

        async def answer(number, call):
            async with gate:
                return await desk.answer(call.id, f"b{number}")

        return await asyncio.gather(*(answer(number, call) for number, call in enumerate(calls)))

    outcomes = await run_while([replica], answer_around_the_deadline())
    await replica.deadlines.run_once()
    for call, outcome in zip(calls, outcomes, strict=True):
        events = await desk.events(call.id)
        assert events.count("call.answered") + events.count("call.ended") == 1
        assert ("call.answered" in events) == (outcome.refusal is None)


async def test_a_broken_call_does_not_come_first_for_ever(desk, database, replica):
    broken, sound = await dial_pairs(desk, 2)
    await due_in(desk, -2, broken, sound)
    async with database.hot() as driver:
        await driver.execute("UPDATE calls SET body = '{}' WHERE id = $1", UUID(broken.id))
    assert await replica.deadlines.run_once() == 2
    assert (await desk.events(sound.id))[-1] == "call.ended"
    assert await replica.deadlines.run_once() == 0
