"""FCM: what is sent is what Google's own description says, and each of its words has its meaning."""

import asyncio
import json
from datetime import timedelta

import pytest

from service.config import SettingsError, load_settings
from service.core.vocabulary import AlertKind
from service.dispatch.guard import SystemResolver
from service.dispatch.push.channel import Outcome
from service.dispatch.push.fcm import FcmChannel, FcmConfig
from service.dispatch.push.fcm_message import LARGEST_DATA, fcm_message
from service.wire.push import LARGEST
from tests.dispatch.notices import NOW, PAYLOAD, granted, notice, ring
from tests.dispatch.receiver import hang, vanish
from tests.fakes import google as says
from tests.fakes.google import PROJECT, google
from tests.fixtures.google import faults

TOKEN = "cXk-registration:APA91b-of-the-phone"
PUSH = {"provider": "fcm", "token": TOKEN}


@pytest.fixture
async def fcm():
    async with google() as fake:
        channel = channel_to(fake)
        yield Line(fake, channel)
        await channel.close()
        assert fake.wrong == []


class Line:
    """A channel, and Google at its other end."""

    def __init__(self, fake, channel):
        self.google, self.channel = fake, channel

    async def send(self, said=None, *, credentials=None, now=NOW):
        return await self.channel.send(said or ring(PUSH), granted(credentials or self.google.credentials()), now)


def channel_to(fake, **how):
    return FcmChannel(SystemResolver(), FcmConfig(**{"url": fake.base, "allow_private": True, **how}))


async def test_b_22_a_ring_is_a_data_message_of_high_priority_that_ends_with_the_ring(fcm):
    receipt = await fcm.send()
    (body,) = fcm.google.sent
    data = body["message"].pop("data")
    assert body == {"message": {"token": TOKEN, "android": {"priority": "HIGH", "ttl": "45s"}}}
    said = ring(PUSH)
    assert json.loads(data.pop("payload")) == said.payload
    assert data == {
        "type": "call.ring",
        "call_id": PAYLOAD["call_id"],
        "ring_id": said.payload["ring_id"],
        "expires_at": "2026-11-20T08:16:15.123Z",
        "action_token": "header.claims-of-the-ring.signature",
        "title": "Ann is calling",
    }
    assert (receipt.outcome, receipt.status, receipt.provider_id) == (
        Outcome.TAKEN,
        200,
        f"projects/{PROJECT}/messages/0:1",
    )


@pytest.mark.parametrize(
    ("left", "ttl"), [(45.9, "45s"), (0.9, "0s"), (0, "0s"), (-5, "0s"), (86_400, "86400s"), (9e6, "2419200s")]
)
def test_the_time_to_live_never_goes_beyond_what_the_notice_is_good_for(left, ttl):
    said = ring(PUSH, expires_at=NOW + timedelta(seconds=left))
    assert fcm_message(said, TOKEN, NOW)["message"]["android"]["ttl"] == ttl


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_kind_of_notice_is_a_body_of_googles_description(kind):
    said = notice(kind, push=PUSH, title="T", body="B", payload=PAYLOAD | {"custom": {"from": 1, "google.x": [None]}})
    body = fcm_message(said, TOKEN, NOW)
    assert faults("SendMessageRequest", body) == []
    names = body["message"]["data"].keys()
    assert not [name for name in names if name in {"from", "message_type"} or name.startswith(("google.", "gcm."))]


@pytest.mark.parametrize(
    "body",
    [
        {"message": {"token": "t", "surprise": 1}},
        {"message": {"token": "t", "data": {"n": 1}}},
        {"message": {"token": "t", "android": {"ttl": "45"}}},
        {"message": {"token": "t", "android": {"priority": "high"}}},
        {"message": {"token": "t", "android": {"collapse_key": "c"}}},
        {"validate_only": True},
    ],
)
def test_googles_description_knows_no_strangers(body):
    assert faults("SendMessageRequest", body) != []


def test_the_largest_payload_fits_with_all_that_stands_beside_it():
    said = ring(PUSH)
    room = LARGEST - len(json.dumps(said.payload | {"custom": ""}, separators=(",", ":")))
    data = fcm_message(ring(PUSH, payload=said.payload | {"custom": "x" * room}), TOKEN, NOW)["message"]["data"]
    assert {"type", "call_id", "ring_id", "expires_at", "action_token", "title"} < data.keys()
    assert sum(len(name.encode()) + len(text.encode()) for name, text in data.items()) <= LARGEST_DATA


def test_what_stands_beside_gives_way_where_it_would_be_too_large():
    said = notice(AlertKind.NOTIFY, push=PUSH, title="ü" * 500, body="B", payload={"x": "y" * 3_600})
    data = fcm_message(said, TOKEN, NOW)["message"]["data"]
    assert data.keys() == {"payload", "body"}


MEANINGS = [
    (says.UNREGISTERED, Outcome.GONE, "UNREGISTERED"),
    (says.INVALID, Outcome.REFUSED, "INVALID_ARGUMENT"),
    (says.error(400, "INVALID_ARGUMENT", "Invalid value"), Outcome.REFUSED, "INVALID_ARGUMENT"),
    (says.OTHER_SENDER, Outcome.REFUSED, "SENDER_ID_MISMATCH"),
    (says.DISABLED, Outcome.MISCONFIGURED, "PERMISSION_DENIED"),
    (says.UNAUTHENTICATED, Outcome.MISCONFIGURED, "UNAUTHENTICATED"),
    (says.QUOTA, Outcome.LATER, "QUOTA_EXCEEDED"),
    (says.UNAVAILABLE, Outcome.LATER, "UNAVAILABLE"),
    (says.INTERNAL, Outcome.LATER, "INTERNAL"),
    (says.error(404, "NOT_FOUND", "Project not found"), Outcome.MISCONFIGURED, "NOT_FOUND"),
    ((404, b"<html>not here</html>"), Outcome.MISCONFIGURED, "http_404"),
    ((502, b"bad gateway"), Outcome.LATER, "http_502"),
    ((418, b"[1]"), Outcome.REFUSED, "http_418"),
    ((400, {"error": "text"}), Outcome.REFUSED, "http_400"),
    ((400, {"error": {"status": "not a word!", "details": [1, {"@type": 2}]}}), Outcome.REFUSED, "http_400"),
    ((307, b"", "location: http://127.0.0.1:1/"), Outcome.REFUSED, "http_307"),
]


@pytest.mark.parametrize(("answer", "outcome", "reason"), MEANINGS, ids=[f"{row[0][0]} {row[2]}" for row in MEANINGS])
async def test_what_google_answers_has_its_meaning(fcm, answer, outcome, reason):
    fcm.google.answers.append(answer)
    receipt = await fcm.send()
    assert (receipt.outcome, receipt.status, receipt.reason) == (outcome, answer[0], reason)
    assert len(fcm.google.sent) == 1
    assert receipt.detail.startswith(f"FCM answered {answer[0]}")


async def test_googles_own_sentence_is_kept_without_what_is_secret_in_it(fcm):
    await fcm.send()
    fcm.google.answers.append(
        says.error(400, "INVALID_ARGUMENT", f"no\n{TOKEN} \x00 by {fcm.google.issued[0]} " + "x" * 999)
    )
    receipt = await fcm.send()
    assert receipt.detail.startswith("FCM answered 400: no … by … xxx")
    assert len(receipt.detail) == 200


async def test_a_wish_to_be_left_alone_is_told_on(fcm):
    fcm.google.answers.append((*says.QUOTA, "retry-after: 37"))
    assert (await fcm.send()).retry_after_s == 37


async def test_an_answer_without_a_name_is_taken_all_the_same(fcm):
    fcm.google.answers += [(200, b""), (200, {"name": "x" * 300})]
    receipts = [await fcm.send(), await fcm.send()]
    assert [(receipt.outcome, receipt.provider_id) for receipt in receipts] == [(Outcome.TAKEN, None)] * 2


async def test_silence_is_over_within_the_limit(fcm):
    channel = channel_to(fcm.google, timeout_s=0.2)
    fcm.google.answers.append(hang)
    receipt = await channel.send(ring(PUSH), granted(fcm.google.credentials()), NOW)
    assert (receipt.outcome, receipt.reason, receipt.status) == (Outcome.LATER, "no_answer", None)
    assert 150 <= receipt.latency_ms < 1_000
    await channel.close()


async def test_a_connection_that_breaks_costs_no_push(fcm):
    fcm.google.answers.append(vanish)
    assert (await fcm.send()).taken
    assert len(fcm.google.sent) == 2


async def test_one_that_breaks_twice_is_tried_again_later_and_may_have_been_taken(fcm):
    fcm.google.answers += [vanish, vanish]
    receipt = await fcm.send()
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_answer")


async def test_where_nobody_is_nothing_was_sent(fcm):
    await fcm.send()
    channel = channel_to(fcm.google, url="http://127.0.0.1:1")
    receipt = await channel.send(ring(PUSH), granted(fcm.google.credentials()), NOW)
    await channel.close()
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_connection")
    assert "127.0.0.1" not in receipt.detail


async def test_connections_are_used_again(fcm):
    for _ in range(5):
        assert (await fcm.send()).taken
    assert fcm.google.connections == 2  # one for tokens, one for messages


async def test_twenty_at_once_are_all_taken(fcm):
    receipts = await asyncio.gather(*(fcm.send() for _ in range(20)))
    assert all(receipt.taken for receipt in receipts)
    assert len({receipt.provider_id for receipt in receipts}) == 20
    assert len(fcm.google.issued) == 1


async def test_a_project_with_a_strange_name_stays_within_its_path(fcm):
    receipt = await fcm.send(credentials=fcm.google.credentials(project_id="../../x?y#z"))
    assert (receipt.outcome, receipt.status) == (Outcome.MISCONFIGURED, 404)


async def test_the_doctor_is_told_that_the_account_may_send_and_no_phone_hears_of_it(fcm):
    found = await fcm.channel.check(granted(fcm.google.credentials()), NOW)
    assert (found.fault, found.text) == (False, f"FCM (production), project {PROJECT}: the service account may send")
    (body,) = fcm.google.sent
    assert body["validateOnly"] is True


@pytest.mark.parametrize("answer", [says.UNREGISTERED, says.INVALID, (200, {"name": "projects/p/messages/fake"})])
async def test_what_the_doctor_takes_for_good(fcm, answer):
    fcm.google.answers.append(answer)
    assert not (await fcm.channel.check(granted(fcm.google.credentials()), NOW)).fault


@pytest.mark.parametrize("answer", [says.DISABLED, says.UNAVAILABLE, says.OTHER_SENDER, (404, b"")])
async def test_what_the_doctor_takes_for_a_fault(fcm, answer):
    fcm.google.answers.append(answer)
    found = await fcm.channel.check(granted(fcm.google.credentials()), NOW)
    assert found.fault
    assert f"FCM answered {answer[0]}" in found.text


async def test_the_doctor_is_told_of_an_account_that_gets_no_token(fcm):
    found = await fcm.channel.check(granted(fcm.google.credentials("other")), NOW)
    assert found.fault
    assert found.text.endswith("the token server answered 400: invalid_grant Invalid JWT Signature.")


def test_where_fcm_is_can_be_set():
    assert load_settings().fcm() == FcmConfig()
    settings = load_settings(fcm_url="http://127.0.0.1:9099/proxy/", allow_private_webhooks=True)
    assert settings.fcm() == FcmConfig("http://127.0.0.1:9099/proxy", allow_private=True)


@pytest.mark.parametrize("url", ["fcm.googleapis.com", "ftp://x.example", "https://x.example/?a=b", "https://a b/"])
def test_where_fcm_cannot_be_is_refused(url):
    with pytest.raises(SettingsError, match="fcm-url: "):
        load_settings(fcm_url=url)
