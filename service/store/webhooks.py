"""Webhook endpoints as an app keeps them. What is sent to them is in `deliveries.py` and `delivery_log.py`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import webhooks
from service.wire.custom_headers import hidden, merged
from service.wire.event_types import like_patterns
from service.wire.feed import new_id
from service.wire.signatures import new_secret
from service.wire.webhooks import NewWebhookView, WebhookBody, WebhookView

NOW = func.clock_timestamp()
MOST_WEBHOOKS = 100
"""Endpoints of one app."""
MOST_FORMER = 4
"""Secrets that may sign beside the present one."""


class TooManyWebhooksError(Exception):
    """The app has :data:`MOST_WEBHOOKS` endpoints already."""


class TooManySecretsError(Exception):
    """:data:`MOST_FORMER` former secrets still sign."""


AFRESH: Mapping[str, None] = MappingProxyType(dict.fromkeys(("failing_since", "last_failure_at", "throttled_until")))
"""What is forgotten of an endpoint that is taken up again, or is another one now."""


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
            headers=body.headers,
            format=body.format,
            secret=new_secret(),
        )
        .returning(webhooks, NOW.label("now")),
    )
    row = made.one()
    return NewWebhookView(**_told(row), secret=row.secret)


async def get_webhook(
    connection: AsyncConnection, app_id: str, webhook_id: UUID, *, stays: bool = False
) -> WebhookView | None:
    """The app's endpoint of that id; `None` when there is none. `stays`: it does until the transaction ends."""
    query = select(webhooks, NOW.label("now")).where(_of(app_id, webhook_id))
    if stays:
        query = query.with_for_update(read=True, key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else WebhookView(**_told(row))


async def list_webhooks(
    connection: AsyncConnection,
    app_id: str,
    before: UUID | None,
    limit: int,
) -> list[WebhookView]:
    """The app's endpoints, newest first, older than `before`."""
    query = select(webhooks, NOW.label("now")).where(webhooks.c.app_id == app_id)
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

    An endpoint that is enabled again starts afresh, and what disabled it is forgotten; one that moved starts afresh,
    too. Raises `ValueError` for more headers than there may be.
    """
    if not changes:
        return await get_webhook(connection, app_id, webhook_id)
    values = dict(changes)
    if "types" in values:
        values["types"] = list(values["types"])
        values["patterns"] = like_patterns(values["types"])
    if "headers" in values:
        held = select(webhooks.c.headers).where(_of(app_id, webhook_id)).with_for_update()
        values["headers"] = merged((await connection.scalar(held)) or {}, values["headers"])
    if "url" in values:
        values |= AFRESH
    if values.get("enabled"):
        values |= {**AFRESH, "disabled_reason": None}
    if "paused" in values:
        values["paused_at"] = func.coalesce(webhooks.c.paused_at, NOW) if values.pop("paused") else None
    changed = await connection.execute(
        update(webhooks).where(_of(app_id, webhook_id)).values(**values).returning(webhooks, NOW.label("now")),
    )
    row = changed.one_or_none()
    return None if row is None else WebhookView(**_told(row))


async def rotate_secret(
    connection: AsyncConnection,
    app_id: str,
    webhook_id: UUID,
    overlap_s: int,
) -> NewWebhookView | None:
    """A new secret; the ones before sign for `overlap_s` more seconds at most. `None`: there is no such endpoint.

    Raises :class:`TooManySecretsError`.
    """
    query = select(webhooks, NOW.label("now")).where(_of(app_id, webhook_id)).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    end = row.now + timedelta(seconds=overlap_s)
    still = {former["secret"]: min(end, datetime.fromisoformat(former["until"])) for former in row.former_secrets}
    former = {secret: until for secret, until in {**still, row.secret: end}.items() if until > row.now}
    if len(former) > MOST_FORMER:
        raise TooManySecretsError
    kept = [{"secret": secret, "until": until.isoformat()} for secret, until in former.items()]
    changed = await connection.execute(
        update(webhooks)
        .where(_of(app_id, webhook_id))
        .values(secret=new_secret(), former_secrets=kept)
        .returning(webhooks, NOW.label("now")),
    )
    made = changed.one()
    return NewWebhookView(**_told(made), secret=made.secret)


async def delete_webhook(connection: AsyncConnection, app_id: str, webhook_id: UUID) -> bool:
    """Delete an endpoint with its log; what is not delivered yet never will be. False: no such endpoint."""
    done = await connection.execute(delete(webhooks).where(_of(app_id, webhook_id)))
    return done.rowcount > 0


def _told(row: Row[Any]) -> dict[str, Any]:
    """What is told of an endpoint: no secret, no value of a header, nothing that is over."""
    ends = [until for former in row.former_secrets if (until := datetime.fromisoformat(former["until"])) > row.now]
    told = {name: getattr(row, name) for name in WebhookView.model_fields if name in row._fields}
    return told | {
        "id": str(row.id),
        "headers": hidden(row.headers),
        "paused": row.paused_at is not None,
        "throttled_until": row.throttled_until if row.throttled_until and row.throttled_until > row.now else None,
        "secret_overlap_until": max(ends, default=None),
    }
