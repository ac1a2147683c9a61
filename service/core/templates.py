"""Templates: what a rule says, with named fields from a closed list. `{{` and `}}` stand for braces.

This is not Python's `format`: there are no attributes, no indexes, no conversions, so that nothing can be reached that
is not on the list.
"""

import re
from collections.abc import Mapping

from service.core.rules import Happening, Receiver

FIELDS = (
    "event.type",
    "event.time",
    "user.id",
    "user.name",
    "receiver.id",
    "receiver.name",
    "caller.id",
    "caller.name",
    "call.id",
    "call.type",
    "call.state",
    "call.end_reason",
    "call.talk_s",
    "call.participants",
    "presence.state",
    "presence.activity",
    "device.id",
    "device.platform",
)
"""What may stand in braces. `user` is whom the event is about, `receiver` who reads it; what there is not is empty."""
TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
LONGEST_TITLE = 200
LONGEST_BODY = 1_000
LONGEST_PUSHED = 400
"""Characters of a body that fit into a push in any script, beside its payload."""
LONGEST_VALUE = 200
CUT = "…"


def template_fault(template: str) -> str | None:
    """What is wrong with a template, in one sentence; `None` when nothing is."""
    for token in TOKEN.finditer(template):
        field = token[1]
        if field is not None and field not in FIELDS:
            return f"there is no such field; there are {', '.join(FIELDS)}"
        if token[0] in {"{", "}"}:
            return "a brace that stands for itself is written twice"
    return None


def values(happening: Happening, receiver: Receiver, names: Mapping[str, str | None]) -> dict[str, str]:
    """What the fields stand for; `names` are those of the directory, by user id."""

    def name(user_id: str | None) -> str:
        if user_id is None:
            return ""
        party = happening.party(user_id)
        return (party and party.name) or names.get(user_id) or user_id

    talk = str(happening.talk_s) if happening.call_id else ""
    return {
        "event.type": happening.type,
        "event.time": happening.at,
        "user.id": happening.user_id or "",
        "user.name": name(happening.user_id),
        "receiver.id": receiver.user_id or "",
        "receiver.name": name(receiver.user_id),
        "caller.id": happening.initiator or "",
        "caller.name": name(happening.initiator),
        "call.id": happening.call_id or "",
        "call.type": happening.call_type or "",
        "call.state": happening.call_state,
        "call.end_reason": happening.end_reason or "",
        "call.talk_s": talk,
        "call.participants": ", ".join(name(party.user_id) for party in happening.parties),
        "presence.state": happening.presence_state,
        "presence.activity": happening.presence_activity,
        "device.id": happening.device_id,
        "device.platform": happening.device_platform,
    }


def written(template: str, filled: Mapping[str, str], longest: int) -> str:
    """The text, at most so long. Values are put in as they are, but for control characters; they are not read again."""

    def put(token: re.Match[str]) -> str:
        if token[1] is None:
            return token[0][0]
        return cut(one_line(filled.get(token[1], "")), LONGEST_VALUE)

    return cut(TOKEN.sub(put, template).strip(), longest)


def one_line(text: str) -> str:
    """A text without what ends a line or is not for the eye."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def cut(text: str, longest: int) -> str:
    """At most so many characters, and a sign where some are missing."""
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT
