"""A call as the world sees it: the `call` of every answer and event (5-api, "A call")."""

from dataclasses import asdict
from typing import Any

import orjson

from service.core.calls import Call, Leg
from service.core.vocabulary import SIP_Q850
from service.wire.canonical import canonical, is_plain, rfc3339, rfc3339_or_none


def call_snapshot(call: Call, *, merged: bool | None = None, legs: orjson.Fragment | None = None) -> dict[str, Any]:
    """The public shape of a call. Times are RFC 3339 in UTC with milliseconds, `talk_s` whole seconds.

    `legs` are the legs where they have been written already.
    """
    custom: Any = call.custom
    if custom and not is_plain(custom):
        custom = orjson.Fragment(canonical(custom))
    sip, cause = SIP_Q850[call.end_reason] if call.end_reason else (None, None)
    snapshot: dict[str, Any] = {
        "id": call.id,
        "state": call.state.value,
        "call_type": call.call_type.value,
        "topology": call.topology.value,
        "initiator": call.initiator,
        "created_at": rfc3339(call.created_at),
        "ringing_at": rfc3339_or_none(call.ringing_at),
        "answered_at": rfc3339_or_none(call.answered_at),
        "active_at": rfc3339_or_none(call.active_at),
        "ended_at": rfc3339_or_none(call.ended_at),
        "end_reason": call.end_reason,
        "sip_status": sip,
        "q850_cause": cause,
        "ended_by": {"type": call.ended_by.type.value, "id": call.ended_by.id} if call.ended_by else None,
        "ring_deadline": _ring_deadline(call),
        "custom": custom,
        "max_duration_s": call.policy.max_duration_s,
        "talk_s": call.talk_ms // 1000,
        "seq": call.seq,
        "legs": legs or [leg_snapshot(leg) for leg in call.legs],
    }
    if merged is not None:
        snapshot["merged"] = merged
    if call.ring_initiator:
        snapshot["ring_initiator"] = True
        snapshot["awaited"] = [other.user_id for other in call.awaited]
    return snapshot


def ring_about(call: Call, leg: Leg) -> dict[str, Any]:
    """What a ring says of who calls: its `caller`, the `group`, and `outgoing` where the user's own call rings."""
    shown = call.other_end(leg)
    about: dict[str, Any] = {"caller": {"id": shown.user_id, "name": shown.name, "avatar_url": shown.avatar_url}}
    if call.outgoing(leg):
        about["outgoing"] = True
    if call.group:
        about["group"] = {"name": None, "count": call.headcount}
    return about


def leg_snapshot(leg: Leg) -> dict[str, Any]:
    """The public shape of one participant. `streams` is there while the participant publishes through a worker."""
    snapshot: dict[str, Any] = {
        "user_id": leg.user_id,
        "name": leg.name,
        "role": leg.role.value,
        "state": leg.state.value,
        "attempt": leg.attempt,
        "end_reason": leg.end_reason,
        "decline_reason": leg.decline_reason,
        "message": leg.message,
        "device_id": leg.device_id,
        "invited_at": rfc3339(leg.invited_at),
        "ringing_at": rfc3339_or_none(leg.ringing_at),
        "answered_at": rfc3339_or_none(leg.answered_at),
        "connected_at": rfc3339_or_none(leg.connected_at),
        "ended_at": rfc3339_or_none(leg.ended_at),
        "ring_deadline": rfc3339_or_none(leg.ring_deadline),
        "media": {"audio": leg.media.audio, "video": leg.media.video, "screen": leg.media.screen},
        "held": leg.held,
        "by": {"type": leg.by.type.value, "id": leg.by.id} if leg.by else None,
    }
    if leg.streams:
        snapshot["streams"] = [asdict(stream) for stream in leg.streams]
    return snapshot


def _ring_deadline(call: Call) -> str | None:
    """The moment by which the last pending leg must have reacted."""
    deadlines = [leg.ring_deadline for leg in call.legs if leg.pending and leg.ring_deadline]
    return rfc3339(max(deadlines)) if deadlines else None
