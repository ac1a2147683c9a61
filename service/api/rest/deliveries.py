"""What was sent to webhooks, and sending it once more."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.declared import refusals
from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one, page
from service.api.rest.webhooks import webhook_of
from service.core.refusals import Code
from service.store import delivery_log as store
from service.store.recovery import Span, recover
from service.wire.shapes import Page
from service.wire.webhooks import DeliveryId, DeliveryQuery, DeliveryView, Recover, RecoveryView, WebhookView

routes = APIRouter(route_class=Door, tags=["webhooks"])


@routes.get(
    "/v1/webhooks/{webhook_id}/deliveries",
    summary="List what was sent to a webhook",
    response_model=Page[DeliveryView],
    responses=refusals(Code.NOT_FOUND),
)
async def list_deliveries(ask: KeyAsk, webhook_id: UUID, query: Annotated[DeliveryQuery, Query()]) -> Response:
    """Newest first; `state` chooses `pending`, `delivered` or `failed` ones. Each with its last request and answer."""
    async with ask.deps.database.begin() as connection:
        await webhook_of(connection, ask, webhook_id)
        found = await store.list_deliveries(
            connection, webhook_id, query.cursor, query.limit + 1, state=query.state, base_url=_base_url(ask)
        )
    return page(found, query.limit, lambda delivery: delivery.id)


@routes.get(
    "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}",
    summary="Read one delivery",
    response_model=DeliveryView,
    responses=refusals(Code.NOT_FOUND),
)
async def get_delivery(ask: KeyAsk, webhook_id: UUID, delivery_id: DeliveryId) -> Response:
    """What was sent, what was answered, how long that took and when it is tried again."""
    async with ask.deps.database.begin() as connection:
        await webhook_of(connection, ask, webhook_id)
        delivery = await store.get_delivery(connection, webhook_id, delivery_id, base_url=_base_url(ask))
    if delivery is None:
        raise RefusedError(Code.NOT_FOUND, "there is no such delivery")
    return one(delivery)


@routes.post(
    "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    summary="Send an event again",
    status_code=202,
    response_model=DeliveryView,
    responses=refusals(Code.NOT_FOUND),
)
async def redeliver(ask: KeyAsk, webhook_id: UUID, delivery_id: DeliveryId) -> Response:
    """With the same `webhook-id`, and as many tries as the first time. 404 once the event has been pruned.

    One that is just being sent goes on as it is. A webhook that is disabled or paused is sent nothing, and so is
    refused.
    """
    async with ask.deps.database.begin() as connection:
        _awake(await webhook_of(connection, ask, webhook_id, stays=True))
        delivery = await store.redeliver(connection, webhook_id, delivery_id, base_url=_base_url(ask))
    if delivery is None:
        raise RefusedError(Code.NOT_FOUND, "there is no such delivery, or its event is gone")
    ask.deps.owed()
    return one(delivery, 202)


@routes.post(
    "/v1/webhooks/{webhook_id}/recover",
    summary="Send a webhook what it missed",
    status_code=202,
    response_model=RecoveryView,
    responses=refusals(Code.NOT_FOUND),
)
async def recover_webhook(ask: KeyAsk, webhook_id: UUID, body: Recover) -> Response:
    """Everything of its types that was told since a moment and that it has not taken: with the same `webhook-id`s.

    What failed, what waits for another try, and what was never queued because the webhook was disabled or not there
    yet; in the order of each call, and as far back as events are kept. At most 100,000 events are looked through; then
    `complete` is false. A webhook that is disabled is to be enabled first; a paused one gets it when it goes on.
    """
    async with ask.deps.database.begin() as connection:
        if not (await webhook_of(connection, ask, webhook_id)).enabled:
            raise RefusedError(Code.INVALID_REQUEST, "the webhook is not enabled")
    span = Span(body.since, body.until, body.delivered)
    done = await recover(ask.deps.database, ask.app_id, webhook_id, span)
    if done is None:
        raise RefusedError(Code.NOT_FOUND, "there is no such webhook any more")
    ask.deps.owed()
    view = RecoveryView(queued=done.queued, complete=done.resume_since is None, resume_since=done.resume_since)
    return one(view, 202)


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
        _awake(await webhook_of(connection, ask, webhook_id, stays=True))
        delivery = await store.send_test(connection, ask.app_id, webhook_id)
    ask.deps.owed()
    return one(delivery, 202)


def _awake(webhook: WebhookView) -> None:
    """Raises `RefusedError` where nothing would be sent."""
    if not webhook.enabled or webhook.paused:
        raise RefusedError(Code.INVALID_REQUEST, f"the webhook is {'paused' if webhook.enabled else 'not enabled'}")


def _base_url(ask: KeyAsk) -> str:
    """What links in cut bodies begin with, as the sender has it."""
    return ask.deps.config.public_url or ""
