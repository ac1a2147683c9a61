"""Web Push: what the browser reads, what its push service is told, and what its answers mean."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.config import load_settings
from service.core.vocabulary import AlertKind
from service.dispatch.guard import SystemResolver
from service.dispatch.push.channel import Outcome
from service.dispatch.push.encryption import LARGEST
from service.dispatch.push.webpush import WebPushChannel, WebPushConfig
from service.wire.credentials import WebPushCredentials
from service.wire.push import LARGEST as LARGEST_PAYLOAD
from service.wire.vapid import make_vapid_key, vapid_public_key
from tests.dispatch.notices import NOW, granted, notice, ring
from tests.dispatch.receiver import hang, status, vanish
from tests.fakes.push_service import CAPABILITY, SUBJECT, push_service

HOUR = 3_600


class Line:
    """A channel, and a browser's push service at its other end."""

    def __init__(self, service, channel):
        self.service, self.channel = service, channel

    async def send(self, said=None, *, seconds=0, credentials=None):
        now = NOW + timedelta(seconds=seconds)
        said = said or ring(self.service.push)
        return await self.channel.send(said, granted(credentials or self.service.credentials), now)

    @property
    def headers(self):
        return [request.headers for request in self.service.requests]


def channel_to(**how):
    return WebPushChannel(SystemResolver(), WebPushConfig(**{"allow_private": True, **how}))


@pytest.fixture
async def line():
    async with push_service() as service:
        channel = channel_to()
        yield Line(service, channel)
        await channel.close()


async def test_b_22_a_ring_is_read_by_its_browser_alone_and_ends_with_the_ring(line):
    receipt = await line.send()
    said = ring(line.service.push)
    assert json.loads(line.service.heard[0]) == {**said.payload, "title": "Ann is calling"}
    (headers,) = line.headers
    assert (headers["ttl"], headers["urgency"], headers["topic"]) == ("45", "high", "019a9f6e7c5a7c3e8d552b1f0a4c9e01")
    assert b"Ann" not in line.service.requests[0].body
    assert (receipt.outcome, receipt.status) == (Outcome.TAKEN, 201)
    assert receipt.provider_id == f"{line.service.origin}/m/1"


async def test_the_push_service_is_told_who_sends_and_believes_it_for_half_a_day(line):
    await line.send()
    assert line.service.claims == [
        {"aud": line.service.origin, "sub": SUBJECT, "exp": int(NOW.timestamp()) + 12 * HOUR}
    ]


@pytest.mark.parametrize(("left", "ttl"), [(45.9, "45"), (0.9, "0"), (0, "0"), (-5, "0"), (9e6, "2419200")])
async def test_the_time_to_live_never_goes_beyond_what_the_notice_is_good_for(line, left, ttl):
    await line.send(ring(line.service.push, expires_at=NOW + timedelta(seconds=left)))
    assert line.headers[0]["ttl"] == ttl


@pytest.mark.parametrize(
    ("kind", "urgency"),
    [
        (AlertKind.RING, "high"),
        (AlertKind.STOP, "high"),
        (AlertKind.NOTIFY, "high"),
        (AlertKind.MISSED, "normal"),
        (AlertKind.RULE, "normal"),
    ],
)
async def test_what_can_wait_does_not_wake_a_phone_that_saves_its_battery(line, kind, urgency):
    await line.send(notice(kind, push=line.service.push))
    assert line.headers[0]["urgency"] == urgency


@pytest.mark.parametrize("collapse", ["short", "x" * 33, "a call:1/2", "ü", ""])
async def test_a_topic_is_what_the_standard_allows_and_the_same_for_the_same_call(line, collapse):
    for other in (collapse, collapse, f"{collapse}!"):
        await line.send(ring(line.service.push, collapse=other))
    topics = [headers["topic"] for headers in line.headers]
    assert topics[0] == topics[1] != topics[2]
    assert all(0 < len(topic) <= 32 and topic.replace("-", "").replace("_", "").isalnum() for topic in topics)


@pytest.mark.parametrize("last", [AlertKind.STOP, AlertKind.MISSED])
async def test_t_07_a_browser_that_comes_online_later_finds_the_missed_call_and_no_ring(line, last):
    """A message takes the place of one with its topic that still waits (RFC 8030, 5.4), in whatever order they come."""
    for kind in (AlertKind.RING, AlertKind.STOP, AlertKind.MISSED, last):
        await line.send(ring(line.service.push, kind=kind, payload={"type": f"call.{kind}"}, title=""))
    waiting = dict(zip([headers["topic"] for headers in line.headers], line.service.heard, strict=True))
    found = [json.loads(text)["type"] for text in waiting.values()]
    assert sorted(found) == ["call.missed", "call.stop"]


async def test_who_sends_is_signed_once_in_four_hours_for_each_push_service(line):
    async with push_service(credentials=line.service.credentials, browser=line.service.browser) as other:
        for seconds in (0, 4 * HOUR - 1, 4 * HOUR, 4 * HOUR + 1):
            await line.send(seconds=seconds)
        await line.send(ring(other.push))
        shown = [headers["authorization"] for headers in line.headers]
        assert shown[0] == shown[1] != shown[2] == shown[3]
        assert other.claims[0]["aud"] == other.origin
    with_another_subject = WebPushCredentials(
        subject="https://calls.example.org/", private_key=line.service.credentials.private_key
    )
    await line.send(credentials=with_another_subject)
    assert line.service.claims[-1]["sub"] == "https://calls.example.org/"


async def test_a_clock_that_was_set_back_has_it_signed_anew(line):
    await line.send(seconds=86_400)
    await line.send()
    assert line.service.claims[1]["exp"] == int(NOW.timestamp()) + 12 * HOUR


MEANINGS = [
    (400, Outcome.REFUSED, "bad_request"),
    (401, Outcome.MISCONFIGURED, "vapid_refused"),
    (403, Outcome.MISCONFIGURED, "vapid_refused"),
    (404, Outcome.GONE, "gone"),
    (405, Outcome.REFUSED, "http_405"),
    (408, Outcome.LATER, "unavailable"),
    (410, Outcome.GONE, "gone"),
    (413, Outcome.REFUSED, "too_large"),
    (429, Outcome.LATER, "too_many_requests"),
    (500, Outcome.LATER, "unavailable"),
    (503, Outcome.LATER, "unavailable"),
]


@pytest.mark.parametrize(("code", "outcome", "reason"), MEANINGS, ids=[str(row[0]) for row in MEANINGS])
async def test_what_a_push_service_answers_has_its_meaning(line, code, outcome, reason):
    line.service.answers.append(status(code, "retry-after: 11", body=b'{"reason": "so\tit is"}'))
    receipt = await line.send()
    assert (receipt.outcome, receipt.status, receipt.reason, receipt.retry_after_s) == (outcome, code, reason, 11)
    assert receipt.detail == f'127.0.0.1:{line.service.port} answered {code}: {{"reason": "so it is"}}'


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (403, b"the VAPID credentials in the authorization header do not correspond to the credentials used to create"),
        (401, b'{"code":401,"errno":109,"error":"Unauthorized","message":"VAPID public key mismatch"}'),
    ],
)
async def test_a_browser_that_subscribed_with_another_key_is_not_the_keys_fault(line, code, words):
    line.service.answers.append(status(code, body=words))
    receipt = await line.send()
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "vapid_mismatch")


async def test_a_redirect_is_not_followed(line):
    line.service.answers.append(status(307, f"location: {line.service.origin}/elsewhere"))
    receipt = await line.send()
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "http_307")
    assert len(line.service.requests) == 1


async def test_what_a_push_service_repeats_of_secrets_is_not_told(line):
    await line.send()
    keys = line.service.push["subscription"]["keys"]
    token = line.headers[0]["authorization"].split("t=")[1].split(",")[0]
    secrets = [f"wpush/v2/{CAPABILITY}", token, *keys.values()]
    line.service.answers.append(status(410, body=" ".join(secrets).encode() + b"\x00 gone " + b"x" * 3_000))
    receipt = await line.send()
    assert receipt.outcome is Outcome.GONE
    assert not [secret for secret in [*secrets, CAPABILITY] if secret in repr(receipt)]
    assert "… … … … gone xxx" in receipt.detail
    assert len(receipt.detail) == 200


@pytest.mark.parametrize("location", ["", "x" * 257, "a\xa0b"])
async def test_a_name_for_the_message_that_cannot_be_kept_is_let_be(line, location):
    line.service.answers.append(status(201).replace(b"\r\n", f"\r\nlocation: {location}\r\n".encode("latin-1"), 1))
    receipt = await line.send()
    assert (receipt.outcome, receipt.provider_id) == (Outcome.TAKEN, None)


@pytest.mark.parametrize("behaviour", [hang, vanish], ids=["silent", "closed"])
async def test_no_answer_is_tried_again_later(line, behaviour):
    channel = channel_to(timeout_s=0.2)
    line.service.answers.append(behaviour)
    receipt = await channel.send(ring(line.service.push), granted(line.service.credentials), NOW)
    await channel.close()
    assert (receipt.outcome, receipt.reason, receipt.status) == (Outcome.LATER, "no_answer", None)
    assert receipt.latency_ms < 1_000


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://push.example.com/a", "refused_url"),
        ("ftp://push.example.com/a", "refused_url"),
        ("", "refused_url"),
        ("https://127.0.0.1:8443/a", "refused_url"),
        ("https://[fd00::1]/a", "refused_url"),
        ("https://push.internal/a", "refused_url"),
        ("https://push.example.com:22/a", "refused_url"),
        ("https://push.example.com/a", "forbidden_address"),
    ],
)
async def test_a_push_service_is_a_public_one_by_https(line, endpoint, reason):
    async def inside(host, port):
        return ["10.1.2.3", "127.0.0.1"]

    channel = WebPushChannel(inside)
    push = {"provider": "webpush", "subscription": line.service.browser.subscription(endpoint)}
    receipt = await channel.send(ring(push), granted(line.service.credentials), NOW)
    await channel.close()
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, reason)


@pytest.mark.parametrize(
    "keys",
    [{}, {"p256dh": "", "auth": ""}, {"p256dh": "AAAA"}, {"auth": "AAAA"}, {"p256dh": "B" + "A" * 86}, {"auth": "!"}],
)
async def test_a_subscription_with_broken_keys_is_refused_before_anything_is_sent(line, keys):
    push = line.service.push
    push["subscription"]["keys"] = {**push["subscription"]["keys"], **keys} if keys else {}
    receipt = await line.send(ring(push))
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "bad_subscription")
    assert line.service.requests == []


@pytest.mark.parametrize("push", [None, {}, {"provider": "webpush"}, {"provider": "fcm", "token": "t"}])
async def test_a_device_without_a_subscription_is_refused(line, push):
    assert (await line.send(ring(push))).outcome is Outcome.REFUSED


@pytest.mark.parametrize("key", [None, "nonsense"])
async def test_a_key_that_is_none_is_the_apps_to_repair(line, key):
    receipt = await line.send(credentials=WebPushCredentials(subject=SUBJECT, private_key=key))
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "bad_key")


async def test_a_key_in_pem_does_as_well():
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    async with push_service(credentials=WebPushCredentials(subject=SUBJECT, private_key=text)) as service:
        channel = channel_to()
        assert (await channel.send(ring(service.push), granted(service.credentials), NOW)).taken
        await channel.close()


async def test_the_largest_payload_arrives_with_what_a_person_reads(line):
    said = ring(line.service.push, title="Zoë is calling " * 20)
    room = LARGEST_PAYLOAD - len(json.dumps(said.payload | {"custom": ""}, separators=(",", ":")))
    assert (await line.send(replace(said, payload=said.payload | {"custom": "x" * room}))).taken
    assert json.loads(line.service.heard[0])["title"] == said.title


async def test_words_give_way_to_the_payload_and_what_does_not_fit_at_all_is_refused(line):
    said = notice(AlertKind.RULE, push=line.service.push, title="T" * 500, payload={"x": "y" * 3_900})
    assert (await line.send(said)).taken
    assert json.loads(line.service.heard[0]) == {"x": "y" * 3_900}
    receipt = await line.send(replace(said, payload={"x": "y" * LARGEST}))
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "too_large")


async def test_connections_are_used_again(line):
    for _ in range(5):
        await line.send()
    assert line.service.connections == 1


async def test_twenty_at_once_are_all_read(line):
    receipts = await asyncio.gather(*(line.send() for _ in range(20)))
    assert all(receipt.taken for receipt in receipts)
    assert len(line.service.heard) == 20


async def checked(subject=SUBJECT, private_key=None):
    credentials = WebPushCredentials(subject=subject, private_key=private_key)
    channel = channel_to()
    found = await channel.check(granted(credentials), NOW)
    await channel.close()
    return found


async def test_the_doctor_is_told_of_a_good_key_and_what_browsers_subscribe_with():
    key = make_vapid_key()
    found = await checked(private_key=key)
    public = vapid_public_key(WebPushCredentials(subject=SUBJECT, private_key=key))
    assert (found.fault, found.text) == (
        False,
        f"Web Push (production): push services are told {SUBJECT}; browsers subscribe with {public}",
    )


@pytest.mark.parametrize("key", [None, "nonsense"])
async def test_the_doctor_is_told_of_a_key_that_is_none(key):
    found = await checked(private_key=key)
    assert found.fault
    assert "private key" in found.text


@pytest.mark.parametrize(
    "subject", ["mailto:me@localhost", "mailto:me@host.local", "https://localhost/", "https://intranet", "mailto:a@b"]
)
async def test_the_doctor_is_told_of_a_subject_where_nobody_can_be_written_to(subject):
    found = await checked(subject, make_vapid_key())
    assert found.fault
    assert subject in found.text


def test_development_allows_push_services_at_home():
    assert not load_settings().webpush().allow_private
    assert load_settings(allow_private_webhooks=True).webpush().allow_private
