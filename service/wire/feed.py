"""The feed: one envelope for webhooks, the live socket and the pull feed, chained by hashes.

Envelope (Standard Webhooks): `{type, timestamp, data}`. `data.hash` is the SHA-256, in lower-case hex, of the
canonical form (RFC 8785) of the envelope without `data.hash`; `data.prev` is the hash of the call's previous event,
empty for the first. Whoever keeps a call's events can prove that none is missing or changed (invariant 4).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import uuid_utils

from service.core.calls import Call
from service.core.turn import Event
from service.wire.canonical import canonical, rfc3339
from service.wire.snapshots import call_snapshot, leg_snapshot


@dataclass(slots=True, frozen=True)
class Envelope:
    """One event, ready to be stored and sent: `text` is the JSON that everybody gets."""

    event_id: UUID
    stream: UUID
    seq: int
    type: str
    text: str
    only_for: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Told:
    """A committed turn on its way to everybody: `tx` is its place in the feed.

    `call` is the call after the turn; receivers must not change it. `webhooks` have deliveries waiting since then.
    """

    call: Call
    envelopes: tuple[Envelope, ...]
    tx: int
    webhooks: tuple[UUID, ...] = ()

    def cursor(self, envelope: Envelope) -> str:
        """Where a reader stands after this event."""
        return f"{self.tx}.{envelope.stream.hex}.{envelope.seq}"


def new_id() -> UUID:
    """A UUIDv7: sorts by the moment it was made."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def envelopes(call: Call, events: Iterable[Event]) -> list[Envelope]:
    """Seal the events of one turn: give each its id, snapshot, `prev` and `hash`; moves `call.last_hash` on."""
    sealed = []
    snapshot = call_snapshot(call)
    # The legs are the bulk of every envelope and the same in all of them: written once, spliced in.
    snapshot["legs"] = orjson.Fragment(orjson.dumps(snapshot["legs"], option=orjson.OPT_SORT_KEYS))
    stream = UUID(call.id)
    for event in events:
        snapshot["seq"] = event.seq
        event_id = new_id()
        data: dict[str, Any] = {
            "call_id": call.id,
            "event_id": str(event_id),
            "seq": event.seq,
            "prev": call.last_hash,
            "occurred_at": (occurred_at := rfc3339(event.occurred_at)),
            "late_by_ms": event.late_by_ms,
            "cause": {
                "kind": event.cause.kind,
                "name": event.cause.name,
                "by": {"type": event.cause.by.type.value, "id": event.cause.by.id},
            },
            "call": snapshot,
        }
        _add_subject(data, call, event)
        text, call.last_hash = seal({"type": event.type.value, "timestamp": occurred_at, "data": data})
        sealed.append(
            Envelope(
                event_id=event_id,
                stream=stream,
                seq=event.seq,
                type=event.type.value,
                text=text,
                only_for=event.only_for,
            ),
        )
    return sealed


def _add_subject(data: dict[str, Any], call: Call, event: Event) -> None:
    if event.user_id is not None:
        data["user_id"] = event.user_id
        leg = call.leg(event.user_id)
        if leg is not None and event.type.value.startswith("participant."):
            data["participant"] = leg_snapshot(leg)
    for name, value in event.details.items():
        if value is not None:
            data[name] = orjson.Fragment(canonical(value)) if name == "signal" else value


def seal(envelope: dict[str, Any]) -> tuple[str, str]:
    """The envelope's text with `data.hash` in it, and that hash.

    Everything in the envelope that orjson's sorted form would not write canonically must be a `Fragment` that is.
    """
    text = orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(text).hexdigest()
    # `data` sorts first, so it ends where the other two members begin: their length is known.
    tail = len(orjson.dumps({key: value for key, value in envelope.items() if key != "data"}))
    return f'{text[: -tail - 1].decode()},"hash":"{digest}"{text[-tail - 1 :].decode()}', digest


def hash_of(envelope: dict[str, Any]) -> str:
    """What `data.hash` of a received envelope must be."""
    data = {key: value for key, value in envelope["data"].items() if key != "hash"}
    return hashlib.sha256(canonical({**envelope, "data": data})).hexdigest()
