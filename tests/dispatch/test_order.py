"""The order of events at one endpoint, and whom a failing or hanging one concerns."""

import asyncio
from datetime import timedelta

from service.store import deliveries as store
from service.store.deliveries import Result
from tests.dispatch.office import seqs
from tests.dispatch.receiver import OK, hang, listening, status

LEASE = {"lease_s": 25.0, "hold_s": 390.0}


async def claim(office, hook, room=16, now=None):
    async with office.database.hot() as driver:
        return (await store.claim(driver, {hook: room}, **LEASE, now=now)).claims


async def record(office, *results):
    async with office.database.hot() as driver:
        await store.record(driver, results)


async def test_a_burst_goes_out_in_order_over_one_connection(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=40)
        await office.sender().run_once()
    assert seqs(receiver.requests) == list(range(1, 41))
    assert receiver.connections == 1


async def test_a_failing_event_holds_back_only_its_own_stream_at_its_own_endpoint(office):
    async with listening(answers=[status(500)]) as bad, listening() as good:
        hook, _ = await office.hook(bad)
        other, _ = await office.hook(good)
        first = await office.queue(hook, other, count=3)
        await office.sender(per_webhook=1).run_once()
        assert seqs(bad.requests) == [1]
        assert seqs(good.requests) == [1, 2, 3]
        await office.queue(hook, count=2)
        await office.queue(hook, stream=first, first=4)
        await office.sender().run_once()
        assert seqs(bad.requests) == [1, 1, 2]
        await office.sender().run_once(await office.later(seconds=12))
        assert seqs(bad.requests) == [1, 1, 2, 1, 2, 3, 4]


async def test_what_is_held_back_goes_on_at_once_after_the_retry(office):
    """In one go, without waiting for the moments until which the held ones were put off."""
    async with listening(answers=[OK, status(500), status(500)]) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=12)
        sender = office.sender(per_webhook=2)
        await sender.run_once()
        await sender.run_once(await office.later(seconds=12))
        assert seqs(receiver.requests) == [1, 2, 2]
        (row,) = [row for row in await office.log(hook) if row["seq"] == 2]
        assert await sender.run_once(row["next_attempt_at"]) == 11
    assert seqs(receiver.requests)[3:] == list(range(2, 13))


async def test_an_event_is_held_back_for_a_bounded_time(office):
    """The second retry, after some 305 s, still goes first; after 390 s nothing waits for it any more."""
    async with listening(otherwise=status(500)) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=3)
        sender = office.sender()
        queued = await office.now()

        async def sent(seconds):
            before = len(receiver.requests)
            await sender.run_once(queued + timedelta(seconds=seconds))
            return seqs(receiver.requests[before:])

        assert [await sent(seconds) for seconds in (0, 10, 330, 380)] == [[1], [1], [1], []]
        assert await sent(391) == [2, 3]
        receiver.otherwise = OK
        assert [*await sent(405), *await sent(407)] == [2, 3]
        assert await sent(3_600) == [1]
        assert await office.states(hook) == [(1, "delivered", 4), (2, "delivered", 2), (3, "delivered", 2)]


async def test_an_event_that_is_given_up_holds_back_nobody(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=2)
        await office.rows("UPDATE deliveries SET attempts = 9 WHERE seq = 1")
        receiver.answers.append(status(500))
        await office.sender().run_once()
    assert await office.states(hook) == [(1, "failed", 10), (2, "delivered", 1)]


async def test_the_claims_of_a_crashed_sender_come_back_in_order(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        stream = await office.queue(hook, count=3)
        assert [c.seq for c in await claim(office, hook, room=2)] == [1, 2]
        await office.queue(hook, stream=stream, first=4)
        sender = office.sender()
        assert await sender.run_once() == 0
        assert await sender.run_once(await office.later(seconds=10)) == 0
        assert await sender.run_once(await office.later(seconds=26)) == 4
    assert seqs(receiver.requests) == [1, 2, 3, 4]


async def test_a_sender_that_is_stopped_gives_its_claims_back_at_once(office):
    async with listening(answers=[hang]) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=3)
        task = office.start(office.sender())
        await receiver.take()
        await office.stop(task)
        assert await office.states(hook) == [(1, "pending", 0), (2, "pending", 0), (3, "pending", 0)]
        await office.sender().run_once()
    assert seqs(receiver.requests) == [1, 1, 2, 3]


async def test_a_late_failure_of_a_lost_claim_does_not_count_but_a_success_does(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        (lost,) = await claim(office, hook)
        (mine,) = await claim(office, hook, now=await office.later(seconds=26))
        await record(office, Result(lost, "failed", at=mine.until, error="too late"))
        assert await office.states(hook) == [(1, "pending", 0)]
        await record(office, Result(lost, "delivered", at=mine.until, status=200))
        await record(office, Result(mine, "failed", at=mine.until, error="twice"))
        assert await office.states(hook) == [(1, "delivered", 1)]


async def test_a_claim_is_renewed_while_its_request_is_under_way_and_its_result_counts(office):
    """What a killed sender leaves behind is due after a short lease; a slow receiver does not make it look dead."""
    answer = asyncio.Event()

    async def slow(_request, _reader, writer):
        await answer.wait()
        writer.write(status(500))

    async with listening(otherwise=slow) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=2)
        sender = office.sender()
        sending = asyncio.create_task(sender.run_once())
        await receiver.take(1)
        before = [row["claimed_until"] for row in await office.log(hook)]
        assert max(before) - await office.now() < timedelta(seconds=9)
        await sender.renew()
        after = [(row["claimed_until"], row["next_attempt_at"]) for row in await office.log(hook)]
        assert all(until == due > old for (until, due), old in zip(after, before, strict=True))
        assert await claim(office, hook, now=before[0]) == []
        answer.set()
        await sending
        assert await office.states(hook) == [(1, "pending", 1), (2, "pending", 0)]
        assert [row["claimed_until"] for row in await office.log(hook)] == [None, None]


async def test_a_claim_that_was_lost_is_not_renewed(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        (lost,) = await claim(office, hook)
        (mine,) = await claim(office, hook, now=await office.later(seconds=26))
        until = lost.until
        async with office.database.hot() as driver:
            await store.renew(driver, [lost], 8)
        assert lost.until == until
        assert (await office.log(hook))[0]["claimed_until"] == mine.until


async def test_a_running_sender_keeps_what_it_holds_beyond_the_first_lease(office):
    """Nobody else is given the delivery, although its request takes longer than a lease."""
    async with listening(otherwise=hang) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        task = office.start(office.sender(lease_s=0.5, renew_s=0.1))
        await receiver.take(1)
        (row,) = await office.log(hook)
        first = row["claimed_until"]
        async with asyncio.timeout(10):
            while await office.now() < first:
                assert await claim(office, hook) == []
        assert (await office.log(hook))[0]["claimed_until"] > first
        assert len(receiver.requests) == 1
        await office.stop(task)


async def test_nothing_is_claimed_twice_and_nothing_out_of_order_by_a_second_sender(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        stream = await office.queue(hook, count=2)
        (first,) = await claim(office, hook, room=1)
        assert await claim(office, hook) == []
        await record(office, Result(first, "delivered", at=first.until, status=200))
        await office.queue(hook, stream=stream, first=3)
        assert [c.seq for c in await claim(office, hook)] == [2, 3]


async def test_a_claim_passes_over_what_another_one_is_just_looking_at(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=2)
        elsewhere = await office.queue(hook)
        async with office.database.begin() as connection:
            await connection.exec_driver_sql("SELECT 1 FROM deliveries ORDER BY id LIMIT 1 FOR UPDATE")
            assert [c.stream for c in await claim(office, hook)] == [elsewhere]
