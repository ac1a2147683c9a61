"""Webhooks: where the app's events are sent, and what became of each."""

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
    DeliveryId,
    DeliveryQuery,
    DeliveryView,
    NewWebhookView,
    WebhookBody,
    WebhookChange,
    WebhookQuery,
    WebhookView,
)

routes = APIRouter(route_class=Door, tags=["webhooks"])


def no_such_webhook() -> RefusedError:
    """404 for an endpoint that the app does not have."""
    return RefusedError(Code.NOT_FOUND, "there is no such webhook")


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
        return one(await _webhook(connection, ask, webhook_id))


@routes.patch(
    "/v1/webhooks/{webhook_id}",
    summary="Change a webhook",
    response_model=WebhookView,
    responses=refusals(Code.NOT_FOUND),
)
async def patch_webhook(ask: KeyAsk, webhook_id: UUID, body: WebhookChange) -> Response:
    """What is left out stays. While it is not `enabled` nothing is queued for it; what was queued before waits."""
    if body.url is not None:
        check_receiver(ask.deps, body.url, "url")
    changes = body.model_dump(exclude_unset=True)
    async with ask.deps.database.begin() as connection:
        webhook = await store.change_webhook(connection, ask.app_id, webhook_id, changes)
    if webhook is None:
        raise no_such_webhook()
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


@routes.get(
    "/v1/webhooks/{webhook_id}/deliveries",
    summary="List what was sent to a webhook",
    response_model=Page[DeliveryView],
    responses=refusals(Code.NOT_FOUND),
)
async def list_deliveries(ask: KeyAsk, webhook_id: UUID, query: Annotated[DeliveryQuery, Query()]) -> Response:
    """Newest first; `state` chooses `pending`, `delivered` or `failed` ones."""
    async with ask.deps.database.begin() as connection:
        await _webhook(connection, ask, webhook_id)
        found = await store.list_deliveries(connection, webhook_id, query.cursor, query.limit + 1, query.state)
    return page(found, query.limit, lambda delivery: delivery.id)


@routes.post(
    "/v1/webhooks/{webhook_id}/test",
    summary="Send a test event to a webhook",
    status_code=202,
    response_model=DeliveryView,
    responses=refusals(Code.NOT_FOUND),
)
async def test_webhook(ask: KeyAsk, webhook_id: UUID) -> Response:
    """A `webhook.test` event goes to this webhook alone, whatever its types; its log says what became of it."""
    async with ask.deps.database.begin() as connection:
        if not (await _webhook(connection, ask, webhook_id)).enabled:
            raise RefusedError(Code.INVALID_REQUEST, "the webhook is not enabled")
        delivery = await store.send_test(connection, ask.app_id, webhook_id)
    return one(delivery, 202)


@routes.post(
    "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    summary="Send an event again",
    status_code=202,
    response_model=DeliveryView,
    responses=refusals(Code.NOT_FOUND),
)
async def redeliver(ask: KeyAsk, webhook_id: UUID, delivery_id: DeliveryId) -> Response:
    """With the same `webhook-id`, and as many tries as the first time. 404 once the event has been pruned."""
    async with ask.deps.database.begin() as connection:
        await _webhook(connection, ask, webhook_id)
        delivery = await store.redeliver(connection, webhook_id, delivery_id)
    if delivery is None:
        raise RefusedError(Code.NOT_FOUND, "there is no such delivery, or its event is gone")
    return one(delivery, 202)


async def _webhook(connection: Connection, ask: KeyAsk, webhook_id: UUID) -> WebhookView:
    webhook = await store.get_webhook(connection, ask.app_id, webhook_id)
    if webhook is None:
        raise no_such_webhook()
    return webhook
