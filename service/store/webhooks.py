"""Webhook endpoints and the log of what was sent to them. Sending itself is the dispatch room's."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import deliveries, events, webhooks
from service.wire.event_types import like_patterns
from service.wire.feed import new_id
from service.wire.signatures import new_secret
from service.wire.webhook_events import TEST, webhook_event
from service.wire.webhooks import DeliveryView, NewWebhookView, WebhookBody, WebhookView

NOW = func.clock_timestamp()
MOST_WEBHOOKS = 100
"""Endpoints of one app."""


class TooManyWebhooksError(Exception):
    """The app has :data:`MOST_WEBHOOKS` endpoints already."""


def _of(app_id: str, webhook_id: UUID) -> ColumnElement[bool]:
    return and_(webhooks.c.app_id == app_id, webhooks.c.id == webhook_id)


async def create_webhook(connection: AsyncConnection, app_id: str, body: WebhookBody) -> NewWebhookView:
    """Make an endpoint with a new secret. Raises :class:`TooManyWebhooksError`."""
    count = await connection.scalar(select(func.count()).select_from(webhooks).where(webhooks.c.app_id == app_id))
    if (count or 0) >= MOST_WEBHOOKS:
        raise TooManyWebhooksError
    made = await connection.execute(
        insert(webhooks)
        .values(
            id=new_id(),
            app_id=app_id,
            url=body.url,
            types=list(body.types),
            patterns=like_patterns(body.types),
            description=body.description,
            secret=new_secret(),
        )
        .returning(webhooks),
    )
    row = made.one()
    return NewWebhookView(**_told(row), secret=row.secret)


async def get_webhook(connection: AsyncConnection, app_id: str, webhook_id: UUID) -> WebhookView | None:
    """The app's endpoint of that id, which stays until the transaction ends; `None` when there is none."""
    query = select(webhooks).where(_of(app_id, webhook_id)).with_for_update(read=True, key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else WebhookView(**_told(row))


async def list_webhooks(
    connection: AsyncConnection,
    app_id: str,
    before: UUID | None,
    limit: int,
) -> list[WebhookView]:
    """The app's endpoints, newest first, older than `before`."""
    query = select(webhooks).where(webhooks.c.app_id == app_id)
    if before is not None:
        query = query.where(webhooks.c.id < before)
    rows = await connection.execute(query.order_by(webhooks.c.id.desc()).limit(limit))
    return [WebhookView(**_told(row)) for row in rows]


async def change_webhook(
    connection: AsyncConnection,
    app_id: str,
    webhook_id: UUID,
    changes: dict[str, Any],
) -> WebhookView | None:
    """Set what `changes` names; `None` when there is no such endpoint.

    An endpoint that is enabled again starts afresh: what disabled it is forgotten.
    """
    values = dict(changes)
    if "types" in values:
        values["types"] = list(values["types"])
        values["patterns"] = like_patterns(values["types"])
    if values.get("enabled"):
        values |= {"disabled_reason": None, "failing_since": None}
    if not values:
        return await get_webhook(connection, app_id, webhook_id)
    changed = await connection.execute(
        update(webhooks).where(_of(app_id, webhook_id)).values(**values).returning(webhooks),
    )
    row = changed.one_or_none()
    return None if row is None else WebhookView(**_told(row))


async def delete_webhook(connection: AsyncConnection, app_id: str, webhook_id: UUID) -> bool:
    """Delete an endpoint with its log; what is not delivered yet never will be. False: no such endpoint."""
    done = await connection.execute(delete(webhooks).where(_of(app_id, webhook_id)))
    return done.rowcount > 0


LOGGED = (
    deliveries,
    events.c.event_id,
    events.c.type,
)


async def list_deliveries(
    connection: AsyncConnection,
    webhook_id: UUID,
    before: int | None,
    limit: int,
    state: str | None = None,
) -> list[DeliveryView]:
    """What was sent or is to be sent to an endpoint, newest first, older than `before`."""
    query = _logged().where(deliveries.c.webhook_id == webhook_id)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    rows = await connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [_delivery(row) for row in rows]


async def redeliver(connection: AsyncConnection, webhook_id: UUID, delivery_id: int) -> DeliveryView | None:
    """Send an event again, beginning the retries anew; `None` when the log or the event itself is gone."""
    here = and_(deliveries.c.webhook_id == webhook_id, deliveries.c.id == delivery_id)
    there = select(literal(1)).where(events.c.stream == deliveries.c.stream, events.c.seq == deliveries.c.seq)
    done = await connection.execute(
        update(deliveries)
        .where(here, there.exists())
        .values(state="pending", attempts=0, next_attempt_at=NOW, claimed_until=None, error=None),
    )
    if not done.rowcount:
        return None
    return _delivery((await connection.execute(_logged().where(here))).one())


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
    return _delivery((await connection.execute(_logged().where(deliveries.c.id == made.scalar_one()))).one())


def _logged() -> Any:
    joined = and_(events.c.stream == deliveries.c.stream, events.c.seq == deliveries.c.seq)
    return select(*LOGGED).outerjoin_from(deliveries, events, joined)


def _told(row: Row[Any]) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in WebhookView.model_fields}
    return {**told, "id": str(row.id)}


def _delivery(row: Row[Any]) -> DeliveryView:
    told = {name: getattr(row, name) for name in DeliveryView.model_fields if name != "call_id"}
    of_a_call = row.type is not None and row.type.startswith(("call.", "participant.", "signal."))
    due = row.next_attempt_at if row.state == "pending" else None
    return DeliveryView(
        **{
            **told,
            "id": str(row.id),
            "event_id": str(row.event_id) if row.event_id else None,
            "call_id": str(row.stream) if of_a_call else None,
            "next_attempt_at": due,
        },
    )
