"""Pushes to Apple's devices: their form, by a stand-in of Apple's service that is Node's, and what its answers mean."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from service.core.vocabulary import AlertKind, Channel
from service.dispatch.push.channel import Outcome
from service.store.database import StoreUnavailableError
from service.wire.credentials import Granted
from tests.dispatch.notices import PAYLOAD
from tests.dispatch.phones import phones_of, push, ring
from tests.fakes.apple import BUNDLE_ID, apns_credentials


@pytest.fixture
def credentials():
    return apns_credentials()


@pytest.fixture
def opened(database, tmp_path, credentials):
    """Opens a stand-in with these options, and a channel to it."""
    return partial(phones_of, database, tmp_path, credentials)


@pytest.fixture
async def phones(opened):
    async with opened() as phones:
        yield phones


def apns_headers(got):
    return {name: value for name, value in got["headers"].items() if name.startswith("apns-")}


async def test_a_ring_is_a_voip_push_that_ends_with_the_ring(phones):
    told = ring()
    got, receipt = await phones.told(told)
    assert (receipt.outcome, receipt.status, receipt.provider_id) == (Outcome.TAKEN, 200, str(told.id))
    assert got["headers"][":path"] == f"/3/device/{told.address.push['token']}"
    assert apns_headers(got) == {
        "apns-id": str(told.id),
        "apns-push-type": "voip",
        "apns-topic": f"{BUNDLE_ID}.voip",
        "apns-priority": "10",
        "apns-expiration": str(int(told.expires_at.timestamp())),
    }
    assert got["payload"] == {**told.payload, "aps": {}}


@pytest.mark.parametrize("kind", [AlertKind.MISSED, AlertKind.NOTIFY, AlertKind.RULE])
async def test_what_is_no_ring_is_an_alert_to_the_other_token(phones, kind):
    told = ring(kind=kind, title="Missed call from Ann", body="At noon")
    got, receipt = await phones.told(told)
    assert receipt.taken
    assert got["token"] == told.address.push["alert_token"]
    headers = apns_headers(got)
    assert (headers["apns-push-type"], headers["apns-topic"], headers["apns-priority"]) == ("alert", BUNDLE_ID, "10")
    assert headers.get("apns-collapse-id") == (None if kind is AlertKind.RULE else told.collapse)
    aps = got["payload"].pop("aps")
    assert aps["alert"] == {"title": "Missed call from Ann", "body": "At noon"}
    assert aps["sound"] == "default"
    assert aps.get("content-available") == (1 if kind is AlertKind.MISSED else None)
    assert got["payload"] == told.payload


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (AlertKind.STOP, "answered_elsewhere"),
        (AlertKind.STOP, "declined_elsewhere"),
        (AlertKind.SILENCE, "silenced"),
    ],
)
async def test_5_a_stop_that_nothing_follows_is_a_quiet_alert_that_is_delivered_at_once(phones, kind, reason):
    got, receipt = await phones.told(ring(kind=kind, payload={**PAYLOAD, "stop_reason": reason}))
    assert receipt.taken
    headers = apns_headers(got)
    assert (headers["apns-push-type"], headers["apns-topic"], headers["apns-priority"]) == ("alert", BUNDLE_ID, "10")
    assert "apns-collapse-id" in headers
    aps = got["payload"]["aps"]
    assert (aps["content-available"], aps["interruption-level"]) == (1, "passive")
    assert "sound" not in aps


@pytest.mark.parametrize("reason", ["canceled", "timed_out", "error", None])
async def test_10_a_stop_that_a_missed_call_follows_is_not_seen(phones, reason):
    got, receipt = await phones.told(ring(kind=AlertKind.STOP, payload={**PAYLOAD, "stop_reason": reason}))
    assert receipt.taken
    headers = apns_headers(got)
    assert (headers["apns-push-type"], headers["apns-topic"], headers["apns-priority"]) == (
        "background",
        BUNDLE_ID,
        "5",
    )
    assert "apns-collapse-id" not in headers
    assert got["payload"]["aps"] == {"content-available": 1}
    assert got["payload"]["stop_reason"] == reason


async def test_nothing_but_a_ring_is_ever_a_voip_push(phones):
    for kind in set(AlertKind) - {AlertKind.RING}:
        got, _ = await phones.told(ring(kind=kind))
        assert got["headers"]["apns-push-type"] != "voip"
        assert not got["headers"]["apns-topic"].endswith(".voip")
        receipt = await phones.send(ring(kind=kind, registered=push(alert=None)))
        assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "no_alert_token")
    assert len(phones.server.requests) == len(AlertKind) - 1


async def test_what_would_be_too_large_is_cut_where_a_person_reads_it(phones):
    payload = {**PAYLOAD, "custom": {"x": "y" * 2_800}}
    told = ring(kind=AlertKind.RULE, payload=payload, body="Ärger “überall”\n" * 200)
    got, receipt = await phones.told(told)
    assert receipt.taken
    alert = got["payload"]["aps"]["alert"]
    assert alert["body"].endswith("…")
    assert told.body.startswith(alert["body"][:-1])
    assert len(alert["body"]) > 300
    assert got["payload"]["custom"] == payload["custom"]


@pytest.mark.parametrize("topic", ["com.example.other", "com.example.other.voip"])
async def test_the_topic_of_a_registration_is_its_bundle_id_with_or_without_voip(opened, topic):
    async with opened(topics=[BUNDLE_ID, "com.example.other"]) as phones:
        got, _ = await phones.told(ring(registered=push(topic=topic)))
        assert got["headers"]["apns-topic"] == "com.example.other.voip"
        got, _ = await phones.told(ring(kind=AlertKind.MISSED, registered=push(topic=topic)))
        assert got["headers"]["apns-topic"] == "com.example.other"


ANSWERS = {
    "gone 1763600000500": (Outcome.GONE, 410, "Unregistered", 0),
    "gone": (Outcome.GONE, 410, "Unregistered", 0),
    "gone 1e999": (Outcome.GONE, 410, "Unregistered", 0),
    "outlived": (Outcome.GONE, 410, "ExpiredToken", 0),
    "bad": (Outcome.REFUSED, 400, "BadDeviceToken", 0),
    "other": (Outcome.REFUSED, 400, "DeviceTokenNotForTopic", 0),
    "large": (Outcome.REFUSED, 413, "PayloadTooLarge", 0),
    "idle": (Outcome.LATER, 400, "IdleTimeout", 0),
    "busy": (Outcome.LATER, 429, "TooManyRequests", 0),
    "busy 7": (Outcome.LATER, 429, "TooManyRequests", 7),
    "busy soon": (Outcome.LATER, 429, "TooManyRequests", 0),
    "broken": (Outcome.LATER, 500, "InternalServerError", 0),
    "down 3": (Outcome.LATER, 503, "ServiceUnavailable", 3),
    "html": (Outcome.LATER, 502, "502", 0),
    "flood": (Outcome.REFUSED, 400, "400", 0),
    "invalid": (Outcome.MISCONFIGURED, 403, "InvalidProviderToken", 0),
}


async def test_15_what_apple_says_and_what_it_means(phones):
    for words, meaning in ANSWERS.items():
        told = ring(*words.split())
        got, receipt = await phones.told(told)
        assert (receipt.outcome, receipt.status, receipt.reason, receipt.retry_after_s) == meaning, words
        assert receipt.detail, words
        assert receipt.provider_id is None
        assert not any(secret in repr(receipt) for secret in (told.address.push["token"], got["authorization"]))
        since = datetime.fromtimestamp(1_763_600_000.5, UTC) if words.endswith("500") else None
        assert receipt.gone_since == since, words


async def test_a_device_is_not_forgotten_for_its_other_token(phones):
    receipt = await phones.send(ring(kind=AlertKind.MISSED, registered=push(alert="gone 1763600000500")))
    assert (receipt.outcome, receipt.reason, receipt.gone_since) == (Outcome.REFUSED, "Unregistered", None)


async def test_a_topic_that_the_key_may_not_use_is_the_apps_fault_or_that_of_one_registration(opened):
    async with opened(topics=["com.example.else"]) as phones:
        receipt = await phones.send(ring())
        assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "TopicDisallowed")
        receipt = await phones.send(ring(registered=push(topic="com.example.typo")))
        assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "TopicDisallowed")


async def test_a_token_that_is_none_is_not_asked_for(phones):
    for strange in ("../../x", "..", "a/b", "a?b", "a%2fb", "ä"):
        receipt = await phones.send(ring(registered={"provider": "apns", "token": strange}))
        assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "BadDeviceToken")
    assert phones.server.requests == []


async def test_all_pushes_show_the_same_provider_token_for_40_minutes(opened):
    async with opened(lifetime_s=60 * 60) as phones:
        now = datetime.now(UTC)
        for minutes in (-50, -30, -11, -9, 0):
            at = now + timedelta(minutes=minutes)
            assert (await phones.send(ring(expires_at=at + timedelta(seconds=45)), at)).taken
        first, *others = [got["authorization"] for got in await phones.server.got(5)]
    assert [other == first for other in others] == [True, True, False, False]
    assert others[2] == others[3]


async def test_an_expired_provider_token_is_replaced_within_the_same_try(opened):
    async with opened(lifetime_s=30 * 60) as phones:
        now = datetime.now(UTC)
        old = await phones.tokens.current(phones.credentials, now - timedelta(minutes=35))
        told = ring()
        assert (await phones.send(told, now)).taken
        first, second = await phones.server.got(2)
        assert (await phones.send(ring(), now)).taken
        third = (await phones.server.got(3))[2]
    assert (first["status"], first["reason"]) == (403, "ExpiredProviderToken")
    assert first["authorization"] == f"bearer {old.text}"
    assert second["authorization"] == third["authorization"] != first["authorization"]
    assert first["headers"]["apns-id"] == second["headers"]["apns-id"] == str(told.id)


async def test_a_provider_token_that_is_refused_too_soon_is_renewed_once_and_then_the_clock_is_named(opened):
    async with opened(patient=True) as phones:
        for _ in range(3):
            receipt = await phones.send(ring("expired"))
            assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "ExpiredProviderToken")
            assert "clock" in receipt.detail
        assert len({got["authorization"] for got in await phones.server.got(4)}) == 2


async def test_renewing_too_soon_is_for_later(phones):
    receipt = await phones.send(ring("expired"))
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "TooManyProviderTokenUpdates")


async def test_a_key_that_apple_does_not_know_and_one_that_is_none(phones):
    stranger = Granted("app", Channel.APNS, "production", apns_credentials(key_id="UNKNOWN"))
    receipt = await phones.channel.send(ring(), stranger, datetime.now(UTC))
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "InvalidProviderToken")
    none = Granted("app", Channel.APNS, "production", apns_credentials(private_key="secret text"))
    receipt = await phones.channel.send(ring(), none, datetime.now(UTC))
    assert (receipt.outcome, receipt.reason) == (Outcome.MISCONFIGURED, "bad_key")
    assert "secret text" not in repr(receipt)


async def test_without_a_database_there_may_be_no_provider_token_and_it_is_tried_again(phones):
    def away():
        raise StoreUnavailableError("away")

    phones.tokens._database = type("Away", (), {"begin": staticmethod(away)})  # noqa: SLF001 - the database goes away
    receipt = await phones.send(ring())
    assert (receipt.outcome, receipt.reason) == (Outcome.LATER, "no_database")


async def test_nothing_is_sent_after_its_time(phones):
    told = ring(expires_at=datetime.now(UTC))
    receipt = await phones.send(told)
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "expired")
    assert phones.server.requests == []


async def test_a_retry_has_the_same_apns_id(phones):
    told = ring("broken", id=uuid4())
    await phones.send(told)
    await phones.send(told)
    assert [got["headers"]["apns-id"] for got in await phones.server.got(2)] == [str(told.id)] * 2


async def test_apps_of_different_keys_have_connections_of_their_own(opened):
    other = apns_credentials(key_id="OTHERKEY12", team_id="TEAM654321")
    async with opened(other) as phones:
        for credentials in (phones.credentials, other, phones.credentials, other):
            granted = Granted("app", Channel.APNS, "production", credentials)
            assert (await phones.channel.send(ring(), granted, datetime.now(UTC))).taken
        assert [got["session"] for got in await phones.server.got(4)] == [1, 2, 1, 2]
