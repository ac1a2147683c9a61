"""Webhooks: where the app's events are sent. What became of each is in `deliveries.py`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.declared import refusals
from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one, page
from service.api.replies import nothing
from service.api.urls import check_receiver
from service.core.refusals import Code
from service.store import webhooks as store
from service.store.database import Connection
from service.wire.shapes import Page
from service.wire.webhooks import (
    NewWebhookView,
    RotateSecret,
    WebhookBody,
    WebhookChange,
    WebhookQuery,
    WebhookView,
)

routes = APIRouter(route_class=Door, tags=["webhooks"])


def no_such_webhook() -> RefusedError:
    """404 for an endpoint that the app does not have."""
    return RefusedError(Code.NOT_FOUND, "there is no such webhook")


async def webhook_of(connection: Connection, ask: KeyAsk, webhook_id: UUID, *, stays: bool = False) -> WebhookView:
    """The app's webhook of that id; `stays`: nobody deletes it meanwhile. Raises `RefusedError`."""
    webhook = await store.get_webhook(connection, ask.app_id, webhook_id, stays=stays)
    if webhook is None:
        raise no_such_webhook()
    return webhook


@routes.post(
    "/v1/webhooks",
    summary="Make a webhook",
    status_code=201,
    response_model=NewWebhookView,
    responses=refusals(Code.CAPACITY_EXCEEDED),
)
async def create_webhook(ask: KeyAsk, body: WebhookBody) -> Response:
    """The answer has the signing secret, which is never shown again. An app has at most 100 webhooks."""
    check_receiver(ask.deps, body.url, "url")
    try:
        async with ask.deps.database.begin() as connection:
            webhook = await store.create_webhook(connection, ask.app_id, body)
    except store.TooManyWebhooksError:
        limit = f"an app has at most {store.MOST_WEBHOOKS} webhooks; delete one first"
        raise RefusedError(Code.CAPACITY_EXCEEDED, limit) from None
    return one(webhook, 201)


@routes.get("/v1/webhooks", summary="List the webhooks", response_model=Page[WebhookView])
async def list_webhooks(ask: KeyAsk, query: Annotated[WebhookQuery, Query()]) -> Response:
    """Newest first, without their secrets."""
    async with ask.deps.database.begin() as connection:
        webhooks = await store.list_webhooks(connection, ask.app_id, query.cursor, query.limit + 1)
    return page(webhooks, query.limit, lambda webhook: webhook.id)


@routes.get(
    "/v1/webhooks/{webhook_id}",
    summary="Read a webhook",
    response_model=WebhookView,
    responses=refusals(Code.NOT_FOUND),
)
async def get_webhook(ask: KeyAsk, webhook_id: UUID) -> Response:
    """Without its secret."""
    async with ask.deps.database.begin() as connection:
        return one(await webhook_of(connection, ask, webhook_id))


@routes.patch(
    "/v1/webhooks/{webhook_id}",
    summary="Change a webhook",
    response_model=WebhookView,
    responses=refusals(Code.NOT_FOUND),
)
async def patch_webhook(ask: KeyAsk, webhook_id: UUID, body: WebhookChange) -> Response:
    """What is left out stays. While it is not `enabled` nothing is queued for it; what was queued before waits.

    While it is `paused` everything is queued, and nothing is sent.
    """
    if body.url is not None:
        check_receiver(ask.deps, body.url, "url")
    changes = body.model_dump(exclude_unset=True)
    try:
        async with ask.deps.database.begin() as connection:
            webhook = await store.change_webhook(connection, ask.app_id, webhook_id, changes)
    except ValueError as error:
        raise RefusedError(Code.INVALID_REQUEST, f"body.headers: {error}") from None
    if webhook is None:
        raise no_such_webhook()
    ask.deps.owed()
    return one(webhook)


@routes.delete(
    "/v1/webhooks/{webhook_id}",
    summary="Delete a webhook",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def delete_webhook(ask: KeyAsk, webhook_id: UUID) -> Response:
    """Its log goes with it; what has not been delivered never will be."""
    async with ask.deps.database.begin() as connection:
        known = await store.delete_webhook(connection, ask.app_id, webhook_id)
    if not known:
        raise no_such_webhook()
    return nothing()


@routes.post(
    "/v1/webhooks/{webhook_id}/rotate-secret",
    summary="Give a webhook a new secret",
    response_model=NewWebhookView,
    responses=refusals(Code.NOT_FOUND, Code.CAPACITY_EXCEEDED),
)
async def rotate_secret(ask: KeyAsk, webhook_id: UUID, body: RotateSecret) -> Response:
    """The answer has the new secret, which is never shown again.

    For a day every request is signed with both, in one header (Standard Webhooks): a receiver that takes either has
    that time to change over. With `overlap_s: 0` the old secret is worth nothing from now on.
    """
    try:
        async with ask.deps.database.begin() as connection:
            webhook = await store.rotate_secret(connection, ask.app_id, webhook_id, body.overlap_s)
    except store.TooManySecretsError:
        limit = f"{store.MOST_FORMER} former secrets sign still; end them with overlap_s: 0, or wait"
        raise RefusedError(Code.CAPACITY_EXCEEDED, limit) from None
    if webhook is None:
        raise no_such_webhook()
    return one(webhook)
