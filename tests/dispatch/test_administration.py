"""What a backend sets at its webhook, as its receiver sees it: headers, a pause, new secrets; what the log keeps."""

import orjson
import pytest
import standardwebhooks
import svix.webhooks

from service.store import webhooks as store
from service.store.delivery_log import list_deliveries
from service.wire.custom_headers import HIDDEN
from service.wire.webhooks import OVERLAP_S, WebhookBody
from tests.dispatch.office import APP, seqs, verified
from tests.dispatch.receiver import OK, hang, listening, status


async def change(office, hook, **changes):
    async with office.database.begin() as connection:
        return await store.change_webhook(connection, APP, hook, changes)


async def rotate(office, hook, overlap_s=OVERLAP_S):
    async with office.database.begin() as connection:
        return (await store.rotate_secret(connection, APP, hook, overlap_s)).secret


async def told(office, hook):
    """The log as it is answered, oldest first."""
    async with office.database.begin() as connection:
        return (await list_deliveries(connection, hook, None, 50))[::-1]


async def test_an_endpoint_s_own_headers_are_sent_with_every_request(office):
    async with listening() as receiver:
        hook, secret = await office.hook(receiver)
        await change(office, hook, headers={"Authorization": "Bearer tok-123456", "X-Tenant": "7"})
        await office.queue(hook)
        await office.sender().run_once()
        (request,) = receiver.requests
        verified(request, secret, await office.now())
    assert (request.headers["authorization"], request.headers["x-tenant"]) == ("Bearer tok-123456", "7")


async def test_a_paused_endpoint_is_sent_nothing_and_later_everything_in_order(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        sender = office.sender(per_webhook=3)
        stream = await office.queue(hook, count=2)
        await sender.run_once()
        await change(office, hook, paused=True)
        await office.queue(hook, stream=stream, first=3, count=10)
        other = await office.queue(hook, count=5)
        assert await sender.run_once(await office.later(days=3)) == 0
        assert seqs(receiver.requests) == [1, 2]
        assert len(await office.rows("SELECT 1 FROM deliveries WHERE state = 'pending'")) == 15
        await change(office, hook, paused=False)
        # Older than anything is held back for a failing one: what waited is in order all the same.
        assert await sender.run_once(await office.later(days=3)) == 15
        events = {
            row["event_id"]: row["stream"] for row in await office.rows("SELECT event_id::text, stream FROM events")
        }
    by_stream = {stream: [], other: []}
    for request in receiver.requests:
        by_stream[events[request.id]].append(orjson.loads(request.body)["data"]["seq"])
    assert by_stream == {stream: list(range(1, 13)), other: list(range(1, 6))}


async def test_a_running_sender_notices_the_end_of_a_pause(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        await change(office, hook, paused=True)
        await office.queue(hook, count=3)
        office.start(office.sender())
        await change(office, hook, paused=False)
        assert seqs(await receiver.take(3)) == [1, 2, 3]


async def test_while_a_secret_changes_both_sign_and_either_is_enough(office):
    async with listening() as receiver:
        hook, old = await office.hook(receiver)
        new = await rotate(office, hook)
        await office.queue(hook)
        await office.sender().run_once()
        (request,) = receiver.requests
        assert [part.partition(",")[0] for part in request.headers["webhook-signature"].split(" ")] == ["v1", "v1"]
        for secret in (old, new):
            verified(request, secret, await office.now())
            standardwebhooks.Webhook(secret).verify(request.body, request.headers)
            svix.webhooks.Webhook(secret).verify(request.body, request.headers)


@pytest.mark.parametrize(
    ("overlap_s", "seconds", "signatures"), [(OVERLAP_S, OVERLAP_S - 9, 2), (OVERLAP_S, OVERLAP_S + 9, 1), (0, 0, 1)]
)
async def test_the_old_secret_signs_for_a_day_or_for_as_long_as_was_asked(office, overlap_s, seconds, signatures):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        new = await rotate(office, hook, overlap_s)
        await office.queue(hook)
        now = await office.later(seconds=seconds)
        await office.sender().run_once(now)
        (request,) = receiver.requests
        assert len(request.headers["webhook-signature"].split(" ")) == signatures
        verified(request, new, now)


async def test_a_second_change_within_the_day_keeps_the_first_secret_for_its_day(office):
    async with listening() as receiver:
        hook, first = await office.hook(receiver)
        second = await rotate(office, hook)
        third = await rotate(office, hook)
        await office.queue(hook)
        await office.sender().run_once()
        for secret in (first, second, third):
            verified(receiver.requests[0], secret, await office.now())


async def test_the_log_has_the_request_and_the_head_of_the_answer(office):
    answer = status(503, "x-reason: deploying", "set-cookie: s=1", body=b"come back " + "\xe4".encode() + b"x" * 3_000)
    async with listening(answers=[answer], otherwise=OK) as receiver:
        hook, _ = await office.hook(receiver)
        await change(office, hook, headers={"X-Key": "s3cret-value"})
        await office.queue(hook)
        sender = office.sender()
        await sender.run_once()
        (failed,) = await told(office, hook)
        await sender.run_once(await office.later(seconds=10))
        (delivered,) = await told(office, hook)
    first, second = receiver.requests
    assert (failed.state, failed.status, failed.attempts) == ("pending", 503, 1)
    assert failed.next_attempt_at > failed.last_attempt_at
    assert failed.latency_ms >= 0
    assert failed.request.url == receiver.url
    assert failed.request.body == first.body.decode()
    assert failed.request.headers["X-Key"] == HIDDEN
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent"):
        assert failed.request.headers[name] == first.headers[name]
    assert failed.response.headers["x-reason"] == "deploying"
    assert failed.response.headers["set-cookie"] == HIDDEN
    assert failed.response.body.startswith("come back \xe4xxx")
    assert len(failed.response.body.encode()) == 1_024
    assert (delivered.state, delivered.response.status, delivered.response.body) == ("delivered", 200, "ok")
    assert delivered.request.headers["webhook-timestamp"] == second.headers["webhook-timestamp"]
    assert delivered.next_attempt_at is None


async def test_what_a_receiver_says_back_of_the_secrets_is_not_kept(office):
    async with listening() as receiver:
        hook, secret = await office.hook(receiver)
        await change(office, hook, headers={"Authorization": "Bearer tok-123456"})
        said = f'{{"authorization":"Bearer tok-123456","or":"tok-123456","key":"{secret}"}}'
        receiver.otherwise = status(400, "x-echo: Bearer tok-123456", body=b"x" * 1_015 + said.encode())
        await office.queue(hook)
        await office.sender().run_once()
        kept = await office.rows("SELECT exchange, error FROM deliveries")
    for hidden in ("tok-123456", secret, "tok-1"):
        assert hidden not in str(kept)
    assert HIDDEN in kept[0]["exchange"]
    assert orjson.loads(kept[0]["exchange"])["format"] is None


async def test_of_an_answer_with_endless_headers_the_first_are_kept(office):
    lines = [f"x-{number}: {'v' * 600}" for number in range(50)]
    async with listening(otherwise=status(200, *lines)) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender().run_once()
        (logged,) = await told(office, hook)
    assert list(logged.response.headers) == [f"x-{number}" for number in range(7)]
    assert set(logged.response.headers.values()) == {"v" * 256}


async def test_where_no_answer_came_the_log_has_the_request_alone(office, make_poster):
    async with listening(otherwise=hang) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender(make_poster(timeout_s=0.1)).run_once()
        (logged,) = await told(office, hook)
    assert (logged.status, logged.response) == (None, None)
    assert "no complete answer" in logged.error
    assert logged.request.url == receiver.url


async def test_a_url_that_was_changed_since_does_not_change_the_log(office):
    async with listening() as receiver, listening() as moved:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender().run_once()
        await change(office, hook, url=moved.url)
        (logged,) = await told(office, hook)
        assert logged.request.url == receiver.url


async def test_an_answer_with_what_postgresql_cannot_keep_is_kept_without_it(office):
    async with listening(otherwise=status(200, body=b"a\0b\xff\xfe")) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender().run_once()
        (logged,) = await told(office, hook)
    assert logged.response.body == "ab\ufffd\ufffd"


async def test_an_endpoint_of_another_app_cannot_be_rotated(office):
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        async with office.database.begin() as connection:
            assert await store.rotate_secret(connection, "other", hook, 0) is None
        for _ in range(store.MOST_FORMER):
            await rotate(office, hook)
        with pytest.raises(store.TooManySecretsError):
            await rotate(office, hook)
        await rotate(office, hook, 0)
        assert (await office.webhook(hook))["former_secrets"] == "[]"


async def test_headers_may_be_given_at_once(office):
    async with listening() as receiver, office.database.begin() as connection:
        body = WebhookBody(url=receiver.url, headers={"X-Key": "s3cret-value"})
        made = await store.create_webhook(connection, APP, body)
    assert made.headers == {"X-Key": HIDDEN}
