"""The feed: one envelope for webhooks, the live socket and the pull feed, chained by hashes.

Envelope (Standard Webhooks): `{type, timestamp, data}`. `data.hash` is the SHA-256, in lower-case hex, of the
canonical form (RFC 8785) of these three members without `data.hash`; `data.prev` is the hash of the call's previous
event, empty for the first. Whoever keeps a call's events can prove that none is missing or changed (invariant 4). What
stands beside the three was added on the way, for one receiver, and is not hashed.
"""

import hashlib
import secrets
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
    """One event, ready to be stored and sent: `text` is the JSON that everybody gets; `user_id` whom it is about."""

    event_id: UUID
    stream: UUID
    seq: int
    type: str
    text: str
    only_for: tuple[str, ...] = ()
    user_id: str | None = None


@dataclass(slots=True, frozen=True)
class Told:
    """A committed turn on its way to everybody: `tx` is its place in the feed.

    `call` is the call after the turn; receivers must not change it. `webhooks` have deliveries waiting since then,
    `lanes` alerts.
    """

    call: Call
    envelopes: tuple[Envelope, ...]
    tx: int
    webhooks: tuple[UUID, ...] = ()
    lanes: tuple[str, ...] = ()

    def cursor(self, envelope: Envelope) -> str:
        """Where a reader stands after this event."""
        return f"{self.tx}.{envelope.stream.hex}.{envelope.seq}"


def new_id() -> UUID:
    """A UUIDv7: sorts by the moment it was made."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def new_salt() -> str:
    """What stands in an event of which some are not told all, and is kept from them, too.

    Everybody is told its hash: without this they could try what gives it.
    """
    return secrets.token_hex(16)


def envelopes(call: Call, events: Iterable[Event]) -> list[Envelope]:
    """Seal the events of one turn: give each its id, snapshot, `prev` and `hash`; moves `call.last_hash` on.

    All events of a turn show the call as the turn left it. That is the bulk of every envelope, so it is written once
    and spliced in.
    """
    sealed = []
    stream = UUID(call.id)
    legs = [orjson.dumps(leg_snapshot(leg), option=orjson.OPT_SORT_KEYS) for leg in call.legs]
    before_seq, after_seq = _around_seq(call_snapshot(call, legs=orjson.Fragment(b"[" + b",".join(legs) + b"]")))
    for event in events:
        event_id = new_id()
        by = event.cause.by
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
                "by": {"type": by.type.value, "id": by.id},
            },
            "call": orjson.Fragment(b"%b%d%b" % (before_seq, event.seq, after_seq)),
        }
        if event.only_for:
            data["salt"] = new_salt()
        if event.user_id is not None:
            data["user_id"] = event.user_id
            if event.type.value.startswith("participant."):
                data["participant"] = orjson.Fragment(legs[_place_of(call, event.user_id)])
        for name, value in event.details.items():
            if value is not None:
                data[name] = orjson.Fragment(canonical(value)) if name == "signal" else value
        text, call.last_hash = seal({"type": event.type.value, "timestamp": occurred_at, "data": data})
        sealed.append(Envelope(event_id, stream, event.seq, event.type.value, text, event.only_for, event.user_id))
    return sealed


def _around_seq(snapshot: dict[str, Any]) -> tuple[bytes, bytes]:
    """The snapshot's canonical text before and after the value of `seq`, the one thing that differs between events."""
    before = {key: value for key, value in snapshot.items() if key < "seq"}
    after = {key: value for key, value in snapshot.items() if key > "seq"}
    return (
        orjson.dumps(before, option=orjson.OPT_SORT_KEYS)[:-1] + b',"seq":',
        b"," + orjson.dumps(after, option=orjson.OPT_SORT_KEYS)[1:],
    )


def _place_of(call: Call, user_id: str) -> int:
    return next(place for place, leg in enumerate(call.legs) if leg.user_id == user_id)


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
    """What `data.hash` of a received envelope must be. Whatever stands beside its three members is not hashed."""
    data = {key: value for key, value in envelope["data"].items() if key != "hash"}
    hashed = {"type": envelope["type"], "timestamp": envelope["timestamp"], "data": data}
    return hashlib.sha256(canonical(hashed)).hexdigest()
