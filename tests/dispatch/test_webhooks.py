"""Events on their way to webhooks: in order, signed, retried, and never lost."""

import asyncio
from datetime import timedelta

import orjson
import pytest
import standardwebhooks
import svix.webhooks

from service.core.backoff import RETRY_AFTER_S
from service.store.database import StoreUnavailableError
from service.wire.feed import hash_of
from tests.dispatch.office import HeardDesk, seqs, verified
from tests.dispatch.receiver import OK, dribble, flood, hang, listening, status, vanish


async def test_a_real_call_is_told_byte_for_byte_and_both_libraries_verify_it(office, database):
    desk = HeardDesk(database)
    async with listening() as receiver:
        hook, secret = await office.hook(receiver)
        sender = office.sender()
        call = (await desk.dial("ann", "ben")).call
        await desk.ack(call.id, "ben")
        await desk.decline(call.id, "ben")
        assert await sender.run_once() == sum(len(told.envelopes) for told in desk.told)
    events = await office.rows("SELECT seq, event_id, text FROM events ORDER BY seq")
    assert [request.body.decode() for request in receiver.requests] == [event["text"] for event in events]
    assert [request.id for request in receiver.requests] == [str(event["event_id"]) for event in events]
    assert seqs(receiver.requests) == list(range(1, len(events) + 1))
    for request in receiver.requests:
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)
        svix.webhooks.Webhook(secret).verify(request.body, request.headers)
    assert all(told.webhooks == (hook,) for told in desk.told)


async def test_what_was_delivered_is_written_down(office):
    async with listening(otherwise=status(202)) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        assert await office.sender().run_once() == 1
    (row,) = await office.log(hook)
    assert (row["state"], row["attempts"], row["status"], row["error"]) == ("delivered", 1, 202, None)
    assert row["claimed_until"] is None
    assert 0 <= row["latency_ms"] < 5_000
    assert row["last_attempt_at"] >= row["created_at"]
    assert office.outcomes == ["delivered"]


async def test_only_the_types_that_a_webhook_wants_are_queued(office, database):
    async with listening() as receiver:
        await office.hook(receiver, "call.*")
        await HeardDesk(database).dial("ann", "ben")
        await office.sender().run_once()
    assert {request.body.split(b'"type":"')[-1].split(b".")[0] for request in receiver.requests} == {b"call"}


async def test_retries_by_the_schedule_with_the_same_id_and_a_fresh_signature(office):
    """All ten attempts, then `failed`; time is passed in."""
    async with listening(otherwise=status(500)) as receiver:
        hook, secret = await office.hook(receiver)
        await office.queue(hook)
        sender = office.sender()
        now = await office.now()
        for attempt, wait in enumerate([*RETRY_AFTER_S, None], start=1):
            assert await sender.run_once(now) == 1
            (row,) = await office.log(hook)
            assert (row["attempts"], row["status"], row["error"]) == (attempt, 500, "answered 500")
            verified(receiver.requests[-1], secret, now)
            if wait is None:
                assert row["state"] == "failed"
            else:
                assert row["state"] == "pending"
                assert timedelta() <= row["next_attempt_at"] - now - timedelta(seconds=wait) < timedelta(seconds=5)
                assert await sender.run_once(row["next_attempt_at"] - timedelta(milliseconds=1)) == 0
                now = row["next_attempt_at"]
        assert await sender.run_once(now + timedelta(days=30)) == 0
    assert len({request.id for request in receiver.requests}) == 1
    assert len({request.headers["webhook-timestamp"] for request in receiver.requests}) == 10
    assert office.outcomes == ["retry"] * 9 + ["failed"]


async def test_a_receiver_that_asks_for_more_time_gets_it(office):
    async with listening(otherwise=status(503, "retry-after: 600")) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        now = await office.later()
        await office.sender().run_once(now)
    (row,) = await office.log(hook)
    assert timedelta(seconds=600) <= row["next_attempt_at"] - now < timedelta(seconds=605)


@pytest.mark.parametrize(
    ("behaviour", "code", "error"),
    [
        (status(302, "location: http://127.0.0.1/"), 302, "redirects are not followed"),
        (status(404), 404, "answered 404"),
        (vanish, None, "no answer"),
        (hang, None, "no complete answer within"),
        (dribble(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"), None, "no complete answer within"),
    ],
    ids=["redirect", "not found", "vanish", "hang", "slow body"],
)
async def test_what_is_a_failure_and_why(office, make_poster, behaviour, code, error):
    async with listening(otherwise=behaviour) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender(make_poster(timeout_s=0.3)).run_once()
    (row,) = await office.log(hook)
    assert (row["state"], row["attempts"], row["status"]) == ("pending", 1, code)
    assert error in row["error"]
    assert (await office.webhook(hook))["failing_since"] is not None


async def test_an_endless_answer_is_cut_and_counts(office):
    async with listening(otherwise=flood) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender().run_once()
    assert await office.states(hook) == [(1, "delivered", 1)]


async def test_a_webhook_that_works_again_is_no_longer_failing(office):
    async with listening(answers=[status(500)]) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        sender = office.sender()
        await sender.run_once()
        assert (await office.webhook(hook))["failing_since"] is not None
        await sender.run_once(await office.later(seconds=10))
    assert (await office.webhook(hook))["failing_since"] is None


async def test_410_disables_the_webhook_and_keeps_what_waits(office):
    async with listening(answers=[status(410)]) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook, count=3)
        sender = office.sender()
        await sender.run_once()
        webhook = await office.webhook(hook)
        assert (webhook["enabled"], webhook["disabled_reason"]) == (False, "it answered 410 Gone")
        assert await office.states(hook) == [(1, "failed", 1), (2, "pending", 0), (3, "pending", 0)]
        assert await sender.run_once(await office.later(days=1)) == 0
        await office.rows("UPDATE webhooks SET enabled = true")
        await sender.run_once(await office.later(days=1))
        assert seqs(receiver.requests) == [1, 2, 3]


async def test_56_the_others_are_told_that_one_was_disabled(office):
    """One of them wants nothing of the kind; the one that is gone hears nothing any more."""
    async with listening(otherwise=status(410)) as dead, listening() as well, listening() as deaf:
        gone, _ = await office.hook(dead)
        await office.rows("UPDATE webhooks SET url = url || '?key=s3cret', description = 'billing'")
        hook, secret = await office.hook(well, "webhook.*")
        await office.hook(deaf, "call.*")
        await office.queue(gone, count=2)
        sender = office.sender()
        await sender.run_once()
        (request,) = well.requests
        assert deaf.requests == []
        assert len(dead.requests) == 1
        told = orjson.loads(request.body)
        (event,) = await office.rows("SELECT event_id, app_id, seq, text FROM events WHERE type = 'webhook.disabled'")
    verified(request, secret, await office.now())
    assert (request.id, request.body.decode()) == (str(event["event_id"]), event["text"])
    assert (event["app_id"], event["seq"], told["type"]) == ("app", 1, "webhook.disabled")
    assert told["data"] == {
        "event_id": request.id,
        "webhook_id": str(gone),
        "seq": 1,
        "prev": "",
        "hash": hash_of(told),
        "occurred_at": told["timestamp"],
        "host": "127.0.0.1",
        "description": "billing",
        "reason": "it answered 410 Gone",
    }
    assert "s3cret" not in event["text"]
    assert await office.states(hook) == [(1, "delivered", 1)]


async def test_56_that_a_webhook_was_disabled_is_told_once_each_time(office):
    async with listening(otherwise=status(410)) as receiver:
        hook, _ = await office.hook(receiver)
        for times in (1, 2):
            await office.queue(hook)
            await office.queue(hook)
            await office.sender().run_once(await office.later(days=1))
            told = await office.rows("SELECT text FROM events WHERE type = 'webhook.disabled'")
            assert len(told) == times
            await office.rows("UPDATE webhooks SET enabled = true")


async def test_an_event_that_was_pruned_is_not_tried_for_ever(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.rows("DELETE FROM events")
        await office.sender().run_once()
    (row,) = await office.log(hook)
    assert (row["state"], row["error"]) == ("failed", "the event has been pruned")
    assert receiver.requests == []


async def test_a_broken_secret_breaks_nothing_else(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        other, _ = await office.hook(receiver)
        await office.rows("UPDATE webhooks SET secret = 'whsec_?' WHERE id = $1", hook)
        await office.queue(hook, other)
        await office.sender().run_once()
    assert await office.states(hook) == [(1, "pending", 1)]
    assert await office.states(other) == [(1, "delivered", 1)]


async def test_a_running_sender_is_woken_by_the_switchboard_and_does_not_wait_for_the_poll(office, database):
    async with listening() as receiver:
        await office.hook(receiver)
        sender = office.sender(poll_s=3_600)
        office.start(sender)
        desk = HeardDesk(database, sender.wake)
        # The first round polls; what is queued after it is found by the wake-up alone.
        for n in range(3):
            await desk.dial(f"ann{n}", f"ben{n}")
            assert seqs(await receiver.take(2)) == [1, 2]


async def test_a_running_sender_finds_by_itself_what_others_queued(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        office.start(office.sender())
        for _ in range(2):
            await office.queue(hook)
            assert seqs(await receiver.take(1)) == [1]


async def test_a_running_sender_looks_soon_when_it_is_asked_to(office):
    """What was queued by hand, let go, or told of a device, does not wait for the poll."""
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        sender = office.sender(poll_s=3_600)
        office.start(sender)
        for _ in range(3):
            await office.queue(hook)
            sender.look_soon()
            assert seqs(await receiver.take(1)) == [1]


async def test_a_database_that_was_away_loses_no_result(office):
    """PostgreSQL goes away while a request is under way: its answer is written down later, and not asked for again."""

    async def cut(_request, _reader, writer):
        office.wire.cut = True
        writer.write(OK)

    async with listening(otherwise=cut) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        sender = office.sender()
        with pytest.raises(StoreUnavailableError):
            await sender.run()
        office.wire.cut = False
        await sender.run_once()
    assert await office.states(hook) == [(1, "delivered", 1)]
    assert len(receiver.requests) == 1


async def test_two_senders_never_send_the_same_delivery_at_the_same_time(office):
    """Forty events of ten streams, two senders that look all the time: each event once, each stream in order."""
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        streams = [await office.queue(hook, count=2) for _ in range(10)]
        for _ in range(2):
            office.start(office.sender(per_webhook=3))
        for stream in streams:
            await office.queue(hook, stream=stream, first=3, count=2)
        got = await receiver.take(40)
        assert len({request.id for request in got}) == 40
        order = await office.rows("SELECT event_id::text AS id, stream, seq FROM events")
        where = {row["id"]: (row["stream"], row["seq"]) for row in order}
        told = [where[request.id] for request in got]
        for stream in streams:
            assert [seq for s, seq in told if s == stream] == [1, 2, 3, 4]


async def test_nothing_is_sent_while_a_connection_is_held(office, database):
    """All connections are free while a receiver hangs."""
    async with listening(otherwise=hang) as receiver:
        hooks = [(await office.hook(receiver))[0] for _ in range(16)]
        await office.queue(*hooks)
        task = office.start(office.sender())
        await receiver.take(16)
        async with asyncio.timeout(5):
            held = [database.hot() for _ in range(database.config.pool_size)]
            for each in held:
                await each.__aenter__()
            for each in held:
                await each.__aexit__(None, None, None)
        await office.stop(task)
