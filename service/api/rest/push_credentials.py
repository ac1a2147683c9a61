"""Credentials of the app's channels: uploaded, listed without their secrets, removed."""

import asyncio
from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from fastapi.types import DecoratedCallable
from starlette.responses import Response

from service.api.declared import refusals
from service.api.door import Ask, Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one, page
from service.api.replies import nothing
from service.core.refusals import Code
from service.core.vocabulary import Channel
from service.store import credentials as store
from service.wire.credentials import (
    ApnsCredentials,
    CredentialsView,
    EmailCredentials,
    Environment,
    FcmCredentials,
    MessageCredentials,
    PublicKeyView,
    UploadedView,
    WebPushCredentials,
)
from service.wire.shapes import Page
from service.wire.uploads import Checked, UploadError, check_upload

routes = APIRouter(route_class=Door, tags=["push"])

Only = Literal["production"]
PATH = "/v1/push-credentials"


def _uploaded(channel: str, summary: str) -> Callable[[DecoratedCallable], DecoratedCallable]:
    """An upload: one for each channel, since each takes a body of its own."""
    new = refusals(Code.NOT_FOUND, also=(201, UploadedView, "There were none before."))
    path = f"{PATH}/{channel}/{{environment}}"
    return routes.put(path, summary=summary, response_model=UploadedView, responses=new)


@_uploaded("apns", "Upload the app's key for Apple's push service")
async def put_apns_credentials(ask: KeyAsk, environment: Environment, body: ApnsCredentials) -> Response:
    """For `production` or `sandbox`, as devices say at their registration. The key is never told again."""
    return await _taken(ask, environment, body)


@_uploaded("fcm", "Upload the app's service account for Firebase Cloud Messaging")
async def put_fcm_credentials(ask: KeyAsk, environment: Only, body: FcmCredentials) -> Response:
    """`service_account` is the JSON file as Google's console gives it. It is never told again."""
    return await _taken(ask, environment, body)


@_uploaded("webpush", "Say who the app is to the push services of browsers")
async def put_webpush_credentials(ask: KeyAsk, environment: Only, body: WebPushCredentials) -> Response:
    """Without a `private_key` the one there is stays, and the first time one is made.

    Another key makes the subscriptions of all browsers worthless. The public half is in `about.public_key`.
    """
    return await _taken(ask, environment, body)


@_uploaded("email", "Name the app's mail server")
async def put_email_credentials(ask: KeyAsk, environment: Only, body: EmailCredentials) -> Response:
    """It must have a public address, and a certificate that is good where `security` is not `none`."""
    return await _taken(ask, environment, body)


@_uploaded("message", "Name the app's message gateway")
async def put_message_credentials(ask: KeyAsk, environment: Only, body: MessageCredentials) -> Response:
    """Without a `secret` the one there is stays; the first time one is made, and told in this answer alone."""
    return await _taken(ask, environment, body)


@routes.put(f"{PATH}/{{channel}}/{{environment}}", include_in_schema=False)
async def put_no_credentials(_ask: KeyAsk, channel: str, environment: str) -> Response:
    """Else only the DELETE below would be found at such an address, and the answer would be 405."""
    del channel, environment
    raise RefusedError(Code.NOT_FOUND, "there is no such channel")


async def _taken(ask: KeyAsk, environment: Environment, body: Checked) -> Response:
    deps = ask.deps
    if deps.vault is None:
        raise RefusedError(Code.SERVICE_UNAVAILABLE, store.NO_KEY)
    try:
        await asyncio.to_thread(check_upload, body, allow_private=deps.config.allow_private_webhooks)
    except UploadError as error:
        fault = {"where": f"body.{error.place}", "what": error.why}
        raise RefusedError(Code.INVALID_REQUEST, f"body.{error}", {"errors": [fault]}) from None
    async with deps.database.begin() as connection:
        taken = await store.take_credentials(connection, deps.vault, ask.app_id, environment, body)
    if taken is None:
        raise RefusedError(Code.NOT_FOUND, "the app is gone")
    deps.regranted()
    told = UploadedView(**taken.view.model_dump(), secret=taken.secret)
    return one(told, 201 if taken.created else 200)


@routes.get(PATH, summary="List the app's credentials", response_model=Page[CredentialsView])
async def list_push_credentials(ask: KeyAsk) -> Response:
    """What they are about and whether they work, without anything secret. One page holds them all."""
    async with ask.deps.database.begin() as connection:
        found = await store.list_credentials(connection, ask.app_id, ask.deps.vault)
    return page(found, len(found), lambda view: view.channel)


@routes.delete(
    f"{PATH}/{{channel}}/{{environment}}",
    summary="Remove credentials",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def delete_push_credentials(ask: KeyAsk, channel: Channel, environment: Environment) -> Response:
    """From now on nothing is told by this channel."""
    async with ask.deps.database.begin() as connection:
        known = await store.remove_credentials(connection, ask.app_id, channel, environment)
    if not known:
        raise RefusedError(Code.NOT_FOUND, "there are no such credentials")
    ask.deps.regranted()
    return nothing()


@routes.get(
    f"{PATH}/webpush/production/public-key",
    summary="Read what browsers subscribe with",
    response_model=PublicKeyView,
    responses=refusals(Code.NOT_FOUND),
)
async def get_public_key(ask: Ask) -> Response:
    """The `applicationServerKey` for `PushManager.subscribe()`, for users' own tokens, too."""
    async with ask.deps.database.begin() as connection:
        key = await store.public_key(connection, ask.app_id)
    if key is None:
        raise RefusedError(Code.NOT_FOUND, "the app has no credentials for Web Push")
    return one(PublicKeyView(public_key=key))
