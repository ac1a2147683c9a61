"""Envelopes read back: what an event says, for whoever looks for evidence."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from service.core.calls import Actor, Leg
from service.core.replay import Step
from service.core.turn import Cause
from service.core.vocabulary import ActorType, DeclineReason, EndReason, EventType, LegState, Role
from service.core.witness import Heard
from service.wire.masking import masked, masked_name


def heard(text: str) -> Heard:
    """An event from the text that was sealed."""
    envelope = orjson.loads(text)
    data = envelope["data"]
    device_id = data.get("device_id")
    if envelope["type"] == EventType.CALL_CREATED:
        device_id = data["call"]["legs"][0]["device_id"]
    leg = data.get("participant")
    notification = data.get("notification")
    return Heard(
        seq=data["seq"],
        type=envelope["type"],
        at=moment(data["occurred_at"]),
        cause=Cause(data["cause"]["kind"], data["cause"]["name"], _actor(data["cause"]["by"])),
        late_by_ms=data["late_by_ms"],
        user_id=data.get("user_id"),
        device_id=device_id,
        leg=_leg(leg) if leg else None,
        notification=_notification(notification) if notification else None,
        merged=bool(data.get("merged")),
    )


def step(envelope: Mapping[str, Any]) -> Step:
    """What an event says of the call's state."""
    data = envelope["data"]
    return Step(data["seq"], envelope["type"], moment(data["occurred_at"]), data.get("user_id"), data.get("change"))


def moment(text: str) -> datetime:
    """A time as envelopes and PostgreSQL write it, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _moment(text: str | None) -> datetime | None:
    return moment(text) if text else None


def _actor(by: Mapping[str, str]) -> Actor:
    return Actor(ActorType(by["type"]), by["id"])


def _notification(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "provider_id": masked_name(told.get("provider_id")), "reason": masked(told.get("reason"))}


def _leg(told: Mapping[str, Any]) -> Leg:
    """A participant as it was told; without what is not told (rings, slots)."""
    return Leg(
        user_id=told["user_id"],
        role=Role(told["role"]),
        state=LegState(told["state"]),
        invited_at=moment(told["invited_at"]),
        attempt=told["attempt"],
        name=told["name"],
        device_id=told["device_id"],
        end_reason=EndReason(told["end_reason"]) if told["end_reason"] else None,
        decline_reason=DeclineReason(told["decline_reason"]) if told["decline_reason"] else None,
        by=_actor(told["by"]) if told.get("by") else None,
        ringing_at=_moment(told["ringing_at"]),
        answered_at=_moment(told["answered_at"]),
        connected_at=_moment(told["connected_at"]),
        ended_at=_moment(told["ended_at"]),
        ring_deadline=_moment(told["ring_deadline"]),
    )
