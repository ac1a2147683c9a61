"""From an event's envelope to what rules see of it, and from there to what a device is told beside the words."""

from typing import Any

from service.core.rules import Happening, Party, Rule, RuleChannel
from service.core.templates import LONGEST_BODY, LONGEST_PUSHED, LONGEST_TITLE, cut, written
from service.core.vocabulary import CallType, DeclineReason, EndReason, LegState

LONGEST_SHOWN = 64
"""Characters of a name beside the words, so that all of it fits into a push."""


def happening_of(envelope: dict[str, Any]) -> Happening:
    """An event as it was told. `envelope` is one of ours: it is not checked."""
    data = envelope["data"]
    call = data.get("call") or {}
    presence, device = data.get("presence") or {}, data.get("device") or {}
    return Happening(
        type=envelope["type"],
        at=data["occurred_at"],
        user_id=data.get("user_id"),
        call_id=call.get("id"),
        initiator=call.get("initiator"),
        call_type=CallType(call["call_type"]) if call else None,
        call_state=call.get("state") or "",
        call_end=_end(call.get("end_reason")),
        talk_s=call.get("talk_s") or 0,
        parties=tuple(_party(leg) for leg in call.get("legs") or ()),
        presence_state=presence.get("state") or "",
        presence_activity=presence.get("activity") or "",
        device_id=device.get("device_id") or "",
        device_platform=device.get("platform") or "",
    )


def words_of(rule: Rule, filled: dict[str, str]) -> tuple[str, str]:
    """Title and body as one receiver reads them."""
    longest = LONGEST_PUSHED if rule.channel is RuleChannel.PUSH else LONGEST_BODY
    return written(rule.title, filled, LONGEST_TITLE), written(rule.body, filled, longest)


def told_beside(happening: Happening, rule_id: str, filled: dict[str, str]) -> dict[str, Any]:
    """What goes with the words: a part of the push payload (`call.notify`)."""
    beside: dict[str, Any] = {
        "rule_id": rule_id,
        "event": {"type": happening.type, "occurred_at": happening.at, "user_id": happening.user_id},
    }
    if happening.call_id is None:
        return beside
    return {
        **beside,
        "call_id": happening.call_id,
        "call_type": happening.call_type,
        "caller": {"id": happening.initiator, "name": cut(filled["caller.name"], LONGEST_SHOWN), "avatar_url": None},
    }


def _party(leg: dict[str, Any]) -> Party:
    decline = leg.get("decline_reason")
    return Party(
        user_id=leg["user_id"],
        name=leg.get("name"),
        state=LegState(leg["state"]),
        answered=leg.get("answered_at") is not None,
        end_reason=_end(leg.get("end_reason")),
        decline_reason=DeclineReason(decline) if decline else None,
    )


def _end(reason: str | None) -> EndReason | None:
    return EndReason(reason) if reason else None
