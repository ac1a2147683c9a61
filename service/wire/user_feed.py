"""What is told of a user rather than of a call: devices and presence, each in a chain of its own, with its own `seq`.

The envelope is that of the feed; `data` has `user_id` in place of `call_id` and no `call`, and what is told: `device`
or `presence`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from service.core.calls import SERVER, Actor
from service.wire.canonical import canonical, rfc3339
from service.wire.feed import Envelope, new_id, new_salt, seal

STREAMS = UUID("7f6f0d1c-3a52-5d0e-9a55-5f4a0f6c2b10")
"""The name space of the users' streams (RFC 9562, version 5)."""

DEVICE_REGISTERED = "device.registered"
DEVICE_REMOVED = "device.removed"
PRESENCE_CHANGED = "presence.changed"


@dataclass(slots=True, frozen=True)
class Chain:
    """Where a stream of a user stands: the `seq` and hash of the last event, and the database's clock."""

    seq: int
    last_hash: str
    now: datetime


def stream_of(app_id: str, user_id: str) -> UUID:
    """The stream that the changes of the user's presence are in."""
    return uuid5(STREAMS, f"{app_id}\n{user_id}")


def devices_stream_of(app_id: str, user_id: str) -> UUID:
    """The stream that the coming and going of the user's devices is in."""
    return uuid5(stream_of(app_id, user_id), "devices")


def user_envelope(
    app_id: str,
    user_id: str,
    chain: Chain,
    kind: str,
    facts: Mapping[str, Any],
    *,
    cause: str,
    by: Actor = SERVER,
) -> tuple[Envelope, Chain]:
    """The next event of a user, sealed, and where the stream stands after it. `facts` are plain JSON data."""
    event_id, at = new_id(), rfc3339(chain.now)
    data = {
        "user_id": user_id,
        "event_id": str(event_id),
        "seq": chain.seq + 1,
        "prev": chain.last_hash,
        "occurred_at": at,
        "late_by_ms": 0,
        "cause": {
            "kind": "command" if by != SERVER else "server",
            "name": cause,
            "by": {"type": by.type.value, "id": by.id},
        },
        **{name: orjson.Fragment(canonical(value)) for name, value in facts.items()},
    }
    if kind == PRESENCE_CHANGED:
        data["salt"] = new_salt()
    text, digest = seal({"type": kind, "timestamp": at, "data": data})
    stream = stream_of if kind == PRESENCE_CHANGED else devices_stream_of
    envelope = Envelope(event_id, stream(app_id, user_id), chain.seq + 1, kind, text)
    return envelope, Chain(chain.seq + 1, digest, chain.now)
