"""Messages: a gateway gets a signed request that any library can verify; apprise does no harm."""

import asyncio
import threading
from datetime import timedelta

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.core.vocabulary import AlertKind
from service.dispatch.push.apprise import Apprise
from service.dispatch.push.channel import Outcome
from service.dispatch.push.message import MessageChannel, MessageConfig
from service.wire.signatures import new_secret
from tests.dispatch.notices import NOW, PAYLOAD, by_message, notice
from tests.dispatch.receiver import hang, listening, status, vanish

SECRET = new_secret()


@pytest.fixture
async def channel(make_poster):
    channel = MessageChannel(make_poster(timeout_s=0.5), Apprise(), MessageConfig(allow_private=True))
    yield channel
    await channel.close()


def heard(request, at):
    """The body, after Standard Webhooks' own library came to the same signature for that moment."""
    assert request.headers["webhook-signature"] == Webhook(SECRET).sign(request.id, at, request.body.decode())
    return orjson.loads(request.body)


async def test_a_gateway_gets_a_signed_request_that_says_whom_to_tell_what(channel):
    said = notice(body="Call back soon")
    async with listening() as gateway:
        receipt = await channel.send(said, by_message(url=gateway.url, secret=SECRET), NOW)
    (request,) = gateway.requests
    assert (receipt.outcome, receipt.status, receipt.provider_id) == (Outcome.TAKEN, 200, str(said.id))
    assert request.id == str(said.id)
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert heard(request, NOW) == {
        "type": "call.ring",
        "timestamp": "2026-11-20T08:15:30.123Z",
        "data": {
            "user_id": "bob",
            "phone": "+49 30 1234",
            "email": "bob@example.com",
            "title": "Ann is calling",
            "body": "Call back soon",
            "payload": PAYLOAD,
        },
    }


async def test_any_library_of_standard_webhooks_verifies_it_and_notices_a_change(channel):
    async with listening() as gateway:
        now = NOW.now(NOW.tzinfo)
        await channel.send(notice(), by_message(url=gateway.url, secret=SECRET), now)
    (request,) = gateway.requests
    assert Webhook(SECRET).verify(request.body, request.headers)["data"]["user_id"] == "bob"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"bob", b"eve"), request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(request.body, request.headers)


async def test_a_retry_of_the_same_try_has_the_same_id(channel):
    async with listening(answers=[status(503)]) as gateway:
        granted = by_message(url=gateway.url, secret=SECRET)
        assert (await channel.send(notice(), granted, NOW)).outcome is Outcome.LATER
        assert (await channel.send(notice(), granted, NOW + timedelta(seconds=5))).taken
    first, second = gateway.requests
    assert first.id == second.id
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


async def test_the_gateway_s_own_name_for_the_message_is_kept(channel):
    async with listening(otherwise=status(201, body=b'{"id":"SM-77"}')) as gateway:
        receipt = await channel.send(notice(), by_message(url=gateway.url, secret=SECRET), NOW)
    assert receipt.provider_id == "SM-77"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (status(400), Outcome.REFUSED),
        (status(422), Outcome.REFUSED),
        (status(410), Outcome.GONE),
        (status(401), Outcome.MISCONFIGURED),
        (status(403), Outcome.MISCONFIGURED),
        (status(404), Outcome.MISCONFIGURED),
        (status(302, "location: /"), Outcome.MISCONFIGURED),
        (status(408), Outcome.LATER),
        (status(429, "retry-after: 7"), Outcome.LATER),
        (status(500), Outcome.LATER),
        (status(503, "retry-after: 7"), Outcome.LATER),
        (hang, Outcome.LATER),
        (vanish, Outcome.LATER),
    ],
)
async def test_each_answer_means_later_never_or_the_app_s_to_repair(channel, answer, outcome):
    async with listening(otherwise=answer) as gateway:
        receipt = await channel.send(notice(), by_message(url=gateway.url, secret=SECRET), NOW)
    assert receipt.outcome is outcome
    assert receipt.reason
    assert SECRET not in repr(receipt)
    if isinstance(answer, bytes) and b"retry-after" in answer:
        assert receipt.retry_after_s == 7


@pytest.mark.parametrize("secret", ["whsec_short", "nonsense", None])
async def test_a_secret_that_cannot_sign_sends_nothing(channel, secret):
    async with listening() as gateway:
        receipt = await channel.send(notice(), by_message(url=gateway.url, secret=secret), NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "bad_secret")
    assert gateway.requests == []


async def test_no_private_address_is_connected_to_without_the_setting(make_poster):
    channel = MessageChannel(make_poster(allow_private=False), Apprise(), MessageConfig())
    async with listening() as gateway:
        receipt = await channel.send(notice(), by_message(url=gateway.url, secret=SECRET), NOW)
        assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "forbidden_address")
        by_apprise = by_message(apprise_url=f"json://127.0.0.1:{gateway.port}/")
        receipt = await channel.send(notice(), by_apprise, NOW)
        assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "forbidden_address")
    assert gateway.connections == 0


async def test_by_apprise(channel):
    said = notice(AlertKind.MISSED, title="Missed call from Ann", body="at eight")
    async with listening() as gateway:
        granted = by_message(apprise_url=f"json://127.0.0.1:{gateway.port}/sms/{{phone}}")
        receipt = await channel.send(said, granted, NOW)
    (request,) = gateway.requests
    assert receipt.taken
    assert request.target == "/sms/+49%2030%201234"
    assert orjson.loads(request.body)["message"] == "Missed call from Ann\nat eight"


async def test_apprise_follows_no_redirect_and_its_no_is_later(channel):
    async with listening() as elsewhere, listening(otherwise=status(307, f"location: {elsewhere.url}")) as gateway:
        receipt = await channel.send(notice(), by_message(apprise_url=f"json://127.0.0.1:{gateway.port}/"), NOW)
        assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "not_taken")
        assert elsewhere.requests == []


async def test_who_has_no_number_is_not_asked_for_one(channel):
    granted = by_message(apprise_url="json://127.0.0.1:9/{phone}")
    receipt = await channel.send(notice(phone=None), granted, NOW)
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "no_address")


@pytest.mark.parametrize(
    ("fault", "reason"), [(ImportError("no module"), "no_apprise"), (ValueError("unreadable"), "bad_url")]
)
async def test_without_apprise_or_with_a_url_that_it_cannot_read(poster, fault, reason):
    def notify(url, text):
        raise fault

    receipt = await MessageChannel(poster, Apprise(notify=notify)).send(
        notice(), by_message(apprise_url="slack://a/b/c"), NOW
    )
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, reason)


async def test_an_apprise_that_hangs_is_given_up_and_keeps_its_thread_alone(poster):
    gate, threads = threading.Event(), []

    def notify(url, text):
        threads.append(threading.current_thread())
        return gate.wait(timeout=20)

    channel = MessageChannel(poster, Apprise(2, notify), MessageConfig(timeout_s=0.2))
    granted = by_message(apprise_url="slack://a/b/c")
    receipts = await asyncio.gather(*(channel.send(notice(), granted, NOW) for _ in range(5)))
    assert {(receipt.outcome, receipt.reason) for receipt in receipts} == {(Outcome.LATER, "no_answer")}
    assert all(receipt.latency_ms < 2_000 for receipt in receipts)
    assert len(threads) == 2
    gate.set()
    for thread in threads:
        thread.join(timeout=5)
    assert (await channel.send(notice(), granted, NOW)).taken


@pytest.mark.parametrize(
    ("how", "fault", "told"),
    [
        ({"url": "https://sms.example.com/send?key=hunter2"}, False, "a gateway at sms.example.com is posted to"),
        ({"apprise_url": "tgram://hunter2/{phone}"}, False, "by tgram, with apprise"),
        ({"apprise_url": "syslog://hunter2"}, True, "the apprise URL "),
    ],
)
async def test_the_doctor_hears_what_can_be_known_without_a_message(channel, how, fault, told):
    found = await channel.check(by_message(**how), NOW)
    assert found.fault is fault
    assert told in found.text
    assert "hunter2" not in found.text


@pytest.mark.parametrize("name", ["a\\u0000b", "\\ud800", "x" * 300, "", "ä"])
async def test_a_name_that_cannot_be_kept_is_not_the_message_s(channel, name):
    said = notice()
    async with listening(answers=[status(200, body=f'{{"id":"{name}"}}'.encode())]) as gateway:
        receipt = await channel.send(said, by_message(url=gateway.url, secret=SECRET), NOW)
    assert (receipt.outcome, receipt.provider_id) == (Outcome.TAKEN, str(said.id))
