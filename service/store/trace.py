"""Reading the evidence of a call: its events, the alerts that went by providers, and where webhooks took it."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from service.core.calls import Call
from service.core.vocabulary import AlertKind
from service.core.witness import Alert, Delivery, Evidence, Try
from service.store.database import Driver
from service.wire.masking import masked, masked_name
from service.wire.told import heard, moment

FIRST_EVENTS = 300
LAST_EVENTS = 100
"""Of a long call the first and the last events are read: how it rang, and how it ended."""
MOST_ALERTS = 500

# One round trip. Each part is bounded, by the call's own index: events by stream, alerts by call, and the deliveries of
# each webhook of the app by (webhook, stream).
EVIDENCE = """
SELECT clock_timestamp() AS now,
  ARRAY(
    (SELECT text FROM events WHERE stream = $1 AND seq <= $3 ORDER BY seq)
    UNION ALL
    (SELECT text FROM events WHERE stream = $1 AND seq > greatest($3, $4) ORDER BY seq)
  ) AS events,
  (SELECT json_agg(a)::text FROM (
    SELECT id, kind, channel, user_id, attempt, device_id, ring_id, state, reason, next_attempt_at, until, tries
    FROM alerts WHERE call_id = $1 ORDER BY created_at, id LIMIT $5
  ) a) AS alerts,
  (SELECT json_agg(d)::text FROM (
    SELECT w.id AS webhook_id, w.url, x.seq, x.type, x.state, x.attempts, x.last_attempt_at, x.status, x.error,
      x.latency_ms
    FROM webhooks w CROSS JOIN LATERAL (
      SELECT d.*, (SELECT e.type FROM events e WHERE e.stream = d.stream AND e.seq = d.seq) AS type
      FROM deliveries d
      WHERE d.webhook_id = w.id AND d.stream = $1 AND (d.seq <= $3 OR d.seq > $4) ORDER BY d.seq
    ) x
    WHERE w.app_id = $2
  ) d) AS deliveries
"""


async def evidence(driver: Driver, call: Call, *, first: int = FIRST_EVENTS, last: int = LAST_EVENTS) -> Evidence:
    """All that is known of a call besides itself. Secrets, addresses of people and places in URLs are left out."""
    behind = call.seq - last
    (row,) = await driver.fetch(EVIDENCE, UUID(call.id), call.app_id, first, behind, MOST_ALERTS)
    return Evidence(
        now=row["now"],
        heard=tuple(sorted((heard(text) for text in row["events"]), key=lambda event: event.seq)),
        alerts=tuple(_alert(found) for found in _rows(row["alerts"])),
        deliveries=tuple(_delivery(found) for found in _rows(row["deliveries"])),
        left_out=max(0, behind - first),
    )


def _rows(text: str | None) -> Iterable[dict[str, Any]]:
    return orjson.loads(text) if text else ()


def _alert(row: dict[str, Any]) -> Alert:
    return Alert(
        id=row["id"],
        kind=AlertKind(row["kind"]),
        channel=row["channel"],
        user_id=row["user_id"],
        attempt=row["attempt"],
        state=row["state"],
        due_at=moment(row["next_attempt_at"]),
        until=moment(row["until"]),
        device_id=row["device_id"],
        ring_id=row["ring_id"],
        reason=masked(row["reason"]),
        tries=tuple(_try(told) for told in row["tries"]),
    )


def _try(told: dict[str, Any]) -> Try:
    gone_since = told.get("gone_since")
    return Try(
        at=moment(told["at"]),
        outcome=told["outcome"],
        status=told["status"],
        provider_id=masked_name(told["provider_id"]),
        reason=masked(told["reason"]),
        detail=masked(told["detail"]),
        latency_ms=told["latency_ms"],
        gone_since=moment(gone_since) if gone_since else None,
    )


def _delivery(row: dict[str, Any]) -> Delivery:
    at = row["last_attempt_at"]
    return Delivery(
        webhook_id=row["webhook_id"],
        host=urlsplit(row["url"]).hostname or "",
        seq=row["seq"],
        type=row["type"] or "event",
        state=row["state"],
        attempts=row["attempts"],
        at=moment(at) if at else None,
        status=row["status"],
        error=masked(row["error"]),
        latency_ms=row["latency_ms"],
    )
