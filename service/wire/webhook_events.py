"""What the service tells of the webhooks themselves: each in a stream of its own, so it waits for nothing."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from service.wire.canonical import canonical, rfc3339
from service.wire.feed import Envelope, new_id, seal

TEST = "webhook.test"
DISABLED = "webhook.disabled"


def webhook_event(type_: str, webhook_id: UUID, at: datetime, **facts: Any) -> Envelope:
    """`{type, timestamp, data: {event_id, webhook_id, seq, prev, occurred_at, …, hash}}`: the whole of a new stream."""
    event_id, occurred_at = new_id(), rfc3339(at)
    data = {
        "event_id": str(event_id),
        "webhook_id": str(webhook_id),
        "seq": 1,
        "prev": "",
        "occurred_at": occurred_at,
        **{name: orjson.Fragment(canonical(value)) for name, value in facts.items()},
    }
    text, _ = seal({"type": type_, "timestamp": occurred_at, "data": data})
    return Envelope(event_id, new_id(), 1, type_, text)
