"""A notice in Apple's form: which of the device's tokens, which headers, which body.

Rings are VoIP pushes, and nothing else ever is: iOS kills an app that gets a VoIP push and reports no call, and after a
few of them brings it none any more. A VoIP token takes nothing but VoIP pushes, so all else needs the device's other
token (`alert_token`).

A stop is an alert where it is the only word of it (answered, declined or silenced elsewhere): quiet (`passive`),
without sound, delivered at once, and the app is woken by it (`content-available`). A background push would be
invisible, but iOS may hold it back for minutes, and until then the phone rings on. Where a missed call follows, that
is the alert, it wakes the app, too, and two notices of one call would be one too many: there the stop is a background
push.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from service.core.vocabulary import AlertKind, StopReason
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.wire.devices import ONLY_RINGS

VOIP = ".voip"
TOKEN = re.compile(r"[0-9A-Za-z_-]+", re.ASCII)
"""Apple's are hexadecimal; what cannot be a part of a path is not worth asking for."""
LARGEST = 4_096
"""Bytes of a push. A VoIP push may have some more, which the payload never needs."""
AT_ONCE, WHEN_CONVENIENT = "10", "5"
ELSEWHERE = frozenset({StopReason.ANSWERED_ELSEWHERE, StopReason.DECLINED_ELSEWHERE})
ONE_FOR_A_CALL = frozenset({AlertKind.SILENCE, AlertKind.STOP, AlertKind.MISSED, AlertKind.NOTIFY})
"""Of these a later one takes the place of an earlier one on the screen."""


@dataclass(slots=True, frozen=True)
class ApnsPush:
    """One request to Apple, but for its provider token. `own_topic`: the topic is the registration's, not the app's."""

    token: str = field(repr=False)
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    rings: bool
    own_topic: bool


def push_of(notice: Notice, bundle_id: str) -> ApnsPush | Receipt:
    """The notice as a push, or why it is none."""
    registered = notice.address.push or {}
    rings = notice.kind is AlertKind.RING
    token = registered.get("token" if rings else "alert_token")
    if token is None:
        return Receipt(Outcome.REFUSED, reason="no_alert_token", detail=ONLY_RINGS)
    if not TOKEN.fullmatch(token):
        return Receipt(Outcome.REFUSED, reason="BadDeviceToken", detail="no device token of Apple's looks like this")
    kind, priority, aps = _told(notice)
    topic = (registered.get("topic") or bundle_id).removesuffix(VOIP)
    headers = {
        "apns-id": str(notice.id),
        "apns-push-type": kind,
        "apns-priority": priority,
        "apns-expiration": str(int(notice.expires_at.timestamp())),
        "apns-topic": topic + VOIP if rings else topic,
    }
    if notice.kind in ONE_FOR_A_CALL and kind == "alert":
        headers["apns-collapse-id"] = notice.collapse
    return ApnsPush(token, headers, _fitted(notice.payload, aps), rings, bool(registered.get("topic")))


def _fitted(payload: Mapping[str, Any], aps: dict[str, Any]) -> bytes:
    """The body; where it would be too large, the text that a person reads is cut."""
    body = orjson.dumps({**payload, "aps": aps})
    text = aps.get("alert", {}).get("body")
    if len(body) <= LARGEST or not text:
        return body
    whole = text.encode()
    cut = whole[: max(0, len(whole) - (len(body) - LARGEST) - len("…".encode()))].decode(errors="ignore")
    return orjson.dumps({**payload, "aps": aps | {"alert": aps["alert"] | {"body": f"{cut}…"}}})


def to_nobody(topic: str) -> ApnsPush:
    """A push to a token that no device has: what Apple says to it tells whether it takes the key."""
    headers = {
        "apns-id": str(UUID(int=0)),
        "apns-push-type": "voip",
        "apns-priority": AT_ONCE,
        "apns-expiration": "0",
        "apns-topic": topic + VOIP,
    }
    return ApnsPush("0" * 64, headers, b'{"aps":{}}', rings=True, own_topic=False)


def _told(notice: Notice) -> tuple[str, str, dict[str, Any]]:
    """Push type, priority and what iOS itself shall do."""
    if notice.kind is AlertKind.RING:
        return "voip", AT_ONCE, {}
    alert: dict[str, Any] = {"alert": {"title": notice.title, **({"body": notice.body} if notice.body else {})}}
    if notice.kind in {AlertKind.SILENCE, AlertKind.STOP}:
        wakes = {"content-available": 1}
        if notice.kind is AlertKind.SILENCE or notice.payload.get("stop_reason") in ELSEWHERE:
            return "alert", AT_ONCE, alert | wakes | {"interruption-level": "passive"}
        return "background", WHEN_CONVENIENT, wakes
    alert["sound"] = "default"
    if notice.kind is AlertKind.MISSED:
        return "alert", AT_ONCE, alert | {"content-available": 1}
    return "alert", AT_ONCE, alert
