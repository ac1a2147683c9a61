"""What the service tells of the webhooks themselves: each in a stream of its own, so it waits for nothing."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from service.wire.canonical import rfc3339
from service.wire.feed import Envelope, new_id

TEST = "webhook.test"
DISABLED = "webhook.disabled"


def webhook_event(type_: str, webhook_id: UUID, at: datetime, **facts: Any) -> Envelope:
    """`{type, timestamp, data: {event_id, webhook_id, seq, occurred_at, ...facts}}`, the first of a new stream."""
    event_id, occurred_at = new_id(), rfc3339(at)
    data = {"event_id": str(event_id), "webhook_id": str(webhook_id), "seq": 1, "occurred_at": occurred_at, **facts}
    text = orjson.dumps({"type": type_, "timestamp": occurred_at, "data": data}).decode()
    return Envelope(event_id, new_id(), 1, type_, text)
