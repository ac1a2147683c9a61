"""What goes over a socket, byte by byte. Frames of a server are not masked, so one encoding serves every socket."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from service.core.calls import Call, Leg, Ring
from service.core.vocabulary import RingState
from service.wire.canonical import canonical, is_plain, rfc3339, rfc3339_or_none
from service.wire.snapshots import ring_about

TEXT = 0x81
"""The first byte of a whole text message: FIN and opcode 1 (RFC 6455, 5.2)."""


def text_frame(payload: bytes) -> bytes:
    """A whole WebSocket text message, as a server sends it (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 65_536:
        return bytes((TEXT, 126)) + size.to_bytes(2, "big") + payload
    return bytes((TEXT, 127)) + size.to_bytes(8, "big") + payload


def json_frame(value: dict[str, Any]) -> bytes:
    """A JSON object as a whole text message."""
    return text_frame(orjson.dumps(value))


def event_frame(cursor: str, text: str) -> bytes:
    """An event whose envelope is written already: spliced in, not written again."""
    return text_frame(b'{"type":"event","cursor":"' + cursor.encode() + b'","event":' + text.encode() + b"}")


def ring_body(call: Call, leg: Leg, ring: Ring, server_time: datetime, action_token: str | None) -> dict[str, Any]:
    """The `ring` of a ring frame and of the welcome (5-api)."""
    custom: Any = call.custom
    if custom and not is_plain(custom):
        custom = orjson.Fragment(canonical(custom))
    return {
        "ring_id": ring.id,
        "call_id": call.id,
        "device_id": ring.device_id,
        "attempt": ring.attempt,
        "call_type": call.call_type.value,
        **ring_about(call, leg),
        "sent_at": rfc3339(ring.sent_at or ring.queued_at),
        "expires_at": rfc3339_or_none(leg.ring_deadline),
        "server_time": rfc3339(server_time),
        "action_token": action_token,
        "custom": custom,
    }


def ring_stop(call: Call, ring: Ring) -> dict[str, Any]:
    """The stop of an alert; a silenced one says so, an answered one was answered here."""
    reasons = {RingState.SILENCED: "silenced", RingState.ANSWERED: "answered_here", RingState.FAILED: "error"}
    reason = reasons.get(ring.state) or (ring.stop_reason or "canceled")
    return {"type": "ring.stop", "ring_id": ring.id, "call_id": call.id, "stop_reason": str(reason)}


def replaced(call: Call, device_id: str | None) -> dict[str, Any]:
    """The user goes on with this call on another device (scenarios 43, 62)."""
    return {"type": "call.replaced", "call_id": call.id, "device_id": device_id}


def cursor_of(tx: int, stream: UUID, seq: int) -> str:
    """Where a reader stands after that event: `tx.stream.seq`."""
    return f"{tx}.{stream.hex}.{seq}"
