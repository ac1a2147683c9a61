"""Tokens: how an app's backend lets its users in."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from service.api.declared import refusals
from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one
from service.core.refusals import Code
from service.store.calls import load
from service.wire.minting import TokenBody, TokenView
from service.wire.tokens import TokenKey, UserClaims, end_of, mint_user

routes = APIRouter(route_class=Door, tags=["tokens"])


@routes.post(
    "/v1/tokens",
    summary="Make a user token",
    status_code=201,
    response_model=TokenView,
    responses=refusals(Code.NOT_FOUND),
)
async def create_token(ask: KeyAsk, body: TokenBody) -> Response:
    """A JWT that stands for the user until it expires. The user need not be known yet.

    A backend that has the app's signing secret can make the same token itself, without this request.
    """
    if body.call_id is not None:
        await _need_call(ask, body.call_id)
    signer = await ask.deps.book.signer(ask.app_id)
    if signer is None:
        raise RefusedError(Code.NOT_FOUND, "the app has no signing key")
    claims = UserClaims(
        body.user_id,
        name=body.name,
        role=body.role,
        kind=body.kind,
        call_id=str(body.call_id) if body.call_id else None,
        data=body.data,
    )
    now = ask.deps.clock()
    token = mint_user(TokenKey(signer.kid, ask.app_id, signer.secret), claims, now=now, ttl_s=body.ttl_s)
    expires_at = datetime.fromtimestamp(end_of(now, body.ttl_s), UTC)
    return one(TokenView(token=token, user_id=body.user_id, expires_at=expires_at), 201)


async def _need_call(ask: KeyAsk, call_id: UUID) -> None:
    async with ask.deps.database.hot() as driver:
        loaded = await load(driver, call_id)
    if loaded is None or loaded.call.app_id != ask.app_id:
        raise RefusedError(Code.NOT_FOUND, "there is no such call")
