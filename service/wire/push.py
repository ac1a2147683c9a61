"""The push payload (2-vocabulary): what a woken device is told, in at most 3 KB, so that every provider's form fits.

It is the same for all providers; each channel puts it into its own form. Where it would be too large, what a device can
do without is left out, in this order: the app's `custom` data, the avatar, the names; `truncated` says that it was.

`outgoing: true` is in the ring of a call of the user's own (`ring_initiator`); `caller` is then whom it will call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import orjson

from service.core.calls import Call, Leg, Ring
from service.core.vocabulary import AlertKind
from service.wire.canonical import rfc3339
from service.wire.snapshots import ring_about

VERSION = 1
SILENCED = "silenced"
"""The stop reason, here as on the socket, of a ring that goes on without a sound."""
LARGEST = 3_072
"""Bytes. FCM and Web Push take 4 KB, forms and encryption included."""
TYPES: Mapping[AlertKind, Literal["call.ring", "call.stop", "call.missed", "call.notify"]] = MappingProxyType(
    {
        AlertKind.RING: "call.ring",
        AlertKind.FALLBACK: "call.ring",
        AlertKind.SILENCE: "call.stop",
        AlertKind.STOP: "call.stop",
        AlertKind.MISSED: "call.missed",
        AlertKind.NOTIFY: "call.notify",
    }
)


@dataclass(slots=True, frozen=True)
class Doors:
    """What a device without a login needs to act on its ring: the token, and where the service is."""

    action_token: str
    base_url: str


def push_payload(
    kind: AlertKind, call: Call, leg: Leg, ring: Ring | None, *, now: datetime, until: datetime, doors: Doors | None
) -> dict[str, Any]:
    """What the push says. `call_id` is to be reused as the CallKit UUID; times are the server's (scenario 58)."""
    payload: dict[str, Any] = {
        "v": VERSION,
        "type": TYPES[kind],
        "call_id": call.id,
        "attempt": ring.attempt if ring else leg.attempt,
        "call_type": call.call_type.value,
        **ring_about(call, leg),
        "sent_at": rfc3339(now),
        "server_time": rfc3339(now),
        "expires_at": rfc3339(until),
        "custom": call.custom,
    }
    if ring:
        payload["ring_id"] = ring.id
        if kind is AlertKind.SILENCE:
            payload["stop_reason"] = SILENCED
        elif ring.stop_reason:
            payload["stop_reason"] = ring.stop_reason.value
    if ring and doors:
        payload["action_token"] = doors.action_token
        payload["links"] = links_of(doors.base_url, ring.id)
    return fitted(payload)


def notify_payload(told: Mapping[str, Any], *, now: datetime, until: datetime) -> dict[str, Any]:
    """What goes with the words of a rule (wire/happenings.py), with the times of this try."""
    times = {"sent_at": rfc3339(now), "server_time": rfc3339(now), "expires_at": rfc3339(until)}
    return fitted({"v": VERSION, "type": TYPES[AlertKind.NOTIFY], **told, **times})


def links_of(base_url: str, ring_id: str) -> dict[str, str]:
    """Where a woken device asks, acknowledges, declines and answers, with the action token as its bearer token."""
    ring = f"{base_url.rstrip('/')}/v1/rings/{ring_id}"
    return {"state": ring, "ack": f"{ring}/ack", "decline": f"{ring}/decline", "answer": f"{ring}/answer"}


def fitted(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload, without what makes it too large."""
    if len(orjson.dumps(payload)) <= LARGEST:
        return payload
    payload = {**payload, "custom": {}, "truncated": True}
    if len(orjson.dumps(payload)) > LARGEST and "caller" in payload:
        payload["caller"] = {**payload["caller"], "avatar_url": None}
    if len(orjson.dumps(payload)) > LARGEST and "caller" in payload:
        payload["caller"] = {**payload["caller"], "name": None}
    return payload
