"""The log of what was sent to webhooks, and sending once more what it has."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, and_, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.cti import Format
from service.core.vocabulary import EventType
from service.store.deliveries import PENDING
from service.store.tables import deliveries, events, webhooks
from service.wire.outgoing import body_of
from service.wire.webhook_events import TEST, webhook_event
from service.wire.webhooks import DeliveryRequest, DeliveryResponse, DeliveryView

NOW = func.clock_timestamp()
OF_CALLS = frozenset(member.value for member in EventType)
LOGGED = (
    deliveries,
    events.c.event_id,
    events.c.type,
    events.c.text,
    webhooks.c.format,
    and_(webhooks.c.enabled, webhooks.c.paused_at.is_(None)).label("awake"),
    webhooks.c.throttled_until,
)
ELSEWHERE = frozenset({"call_id", "request", "response"})
"""Fields of a delivery that are no columns."""


async def list_deliveries(
    connection: AsyncConnection,
    webhook_id: UUID,
    before: int | None,
    limit: int,
    *,
    state: str | None = None,
    base_url: str = "",
) -> list[DeliveryView]:
    """What was sent or is to be sent to an endpoint, newest first, older than `before`.

    `base_url` is what links in cut bodies begin with.
    """
    query = _logged().where(deliveries.c.webhook_id == webhook_id)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    rows = await connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [_told(row, base_url) for row in rows]


async def get_delivery(
    connection: AsyncConnection, webhook_id: UUID, delivery_id: int, *, base_url: str = ""
) -> DeliveryView | None:
    """One delivery to an endpoint; `None` when there is none."""
    here = and_(deliveries.c.webhook_id == webhook_id, deliveries.c.id == delivery_id)
    row = (await connection.execute(_logged().where(here))).one_or_none()
    return None if row is None else _told(row, base_url)


async def redeliver(
    connection: AsyncConnection, webhook_id: UUID, delivery_id: int, *, base_url: str = ""
) -> DeliveryView | None:
    """Send an event again, beginning the retries anew; `None` when the log or the event itself is gone.

    One that is just being sent is left to its sender: it would be sent twice at once, and its result be lost.
    """
    here = and_(deliveries.c.webhook_id == webhook_id, deliveries.c.id == delivery_id)
    idle = or_(deliveries.c.state != PENDING, func.coalesce(deliveries.c.claimed_until <= NOW, literal(True)))
    there = select(literal(1)).where(events.c.stream == deliveries.c.stream, events.c.seq == deliveries.c.seq)
    await connection.execute(
        update(deliveries)
        .where(here, idle, there.exists())
        .values(state=PENDING, attempts=0, next_attempt_at=NOW, claimed_until=None, error=None),
    )
    found = await get_delivery(connection, webhook_id, delivery_id, base_url=base_url)
    return found if found and found.event_id else None


async def send_test(connection: AsyncConnection, app_id: str, webhook_id: UUID) -> DeliveryView:
    """Tell this endpoint, and no other, a `webhook.test` event in a stream of its own. The endpoint must exist."""
    now: datetime = (await connection.execute(select(NOW))).scalar_one()
    told = webhook_event(TEST, webhook_id, now)
    place = {"stream": told.stream, "seq": told.seq}
    await connection.execute(
        insert(events).values(**place, event_id=told.event_id, app_id=app_id, type=told.type, text=told.text),
    )
    made = await connection.execute(
        insert(deliveries).values(webhook_id=webhook_id, **place).returning(deliveries.c.id),
    )
    return _told((await connection.execute(_logged().where(deliveries.c.id == made.scalar_one()))).one(), "")


def _next_attempt(row: Row[Any]) -> datetime | None:
    """When it is tried again, if it is, and its endpoint may be asked some day."""
    if row.state != PENDING or not row.awake:
        return None
    later: datetime = max(row.next_attempt_at, row.throttled_until or row.next_attempt_at)
    return later


def _logged() -> Any:
    joined = and_(events.c.stream == deliveries.c.stream, events.c.seq == deliveries.c.seq)
    made_for = webhooks.c.id == deliveries.c.webhook_id
    return select(*LOGGED).outerjoin_from(deliveries, events, joined).join(webhooks, made_for)


def _told(row: Row[Any], base_url: str) -> DeliveryView:
    fields = {name: getattr(row, name) for name in DeliveryView.model_fields if name not in ELSEWHERE}
    exchange = orjson.loads(row.exchange) if row.exchange else {}
    request, response = exchange.get("request"), exchange.get("response")
    # What was sent was in the words of then; what an older version has logged does not say which those were.
    words = exchange.get("format", row.format)
    form = Format(words) if words else None
    body = body_of(row.text, base_url, form).decode() if row.text is not None else None
    return DeliveryView(
        **fields
        | {
            "id": str(row.id),
            "event_id": str(row.event_id) if row.event_id else None,
            "next_attempt_at": _next_attempt(row),
        },
        call_id=str(row.stream) if row.type in OF_CALLS else None,
        request=DeliveryRequest(**request, body=body) if request else None,
        response=DeliveryResponse(status=row.status, **response) if response and row.status else None,
    )
