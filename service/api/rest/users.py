"""People: who can be rung, and as whom they appear."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.calling import allowed
from service.api.declared import refusals
from service.api.door import Ask, Door, KeyAsk
from service.api.errors import RefusedError
from service.api.pages import one, page
from service.api.replies import nothing
from service.core.refusals import Code
from service.core.rights import may_change_user, may_read_user
from service.store import users as store
from service.switchboard.departures import delete_user as take_leave
from service.wire.requests import Empty
from service.wire.shapes import Page, PageQuery
from service.wire.texts import UserId
from service.wire.users import OWN_FIELDS, UserBody, UserView

routes = APIRouter(route_class=Door, tags=["users"])


def no_such_user() -> RefusedError:
    """404 for a user that the app does not have."""
    return RefusedError(Code.NOT_FOUND, "there is no such user")


@routes.put(
    "/v1/users/{user_id}",
    summary="Make a user, or change one",
    response_model=UserView,
    responses=refusals(also=(201, UserView, "The user is new.")),
)
async def put_user(ask: Ask, user_id: UserId, body: UserBody) -> Response:
    """What the body leaves out stays as it is; null clears it.

    A user token may change its own user: all but `email` and `phone` (403 `not_authorized`).
    """
    allowed(may_change_user(ask.principal, user_id))
    foreign = sorted(body.model_fields_set - OWN_FIELDS)
    if foreign and not ask.principal.is_backend:
        raise RefusedError(Code.NOT_AUTHORIZED, f"only an API key may change: {', '.join(foreign)}")
    async with ask.deps.database.begin() as connection:
        user, created = await store.put_user(connection, ask.app_id, user_id, body)
    ask.deps.moved(ask.app_id, user_id)
    return one(user, 201 if created else 200)


@routes.get("/v1/users/{user_id}", summary="Read a user", response_model=UserView, responses=refusals(Code.NOT_FOUND))
async def get_user(ask: Ask, user_id: UserId) -> Response:
    """A user token may read its own user."""
    allowed(may_read_user(ask.principal, user_id))
    async with ask.deps.database.begin() as connection:
        user = await store.get_user(connection, ask.app_id, user_id)
    if user is None:
        raise no_such_user()
    return one(user)


@routes.get("/v1/users", summary="List the users", response_model=Page[UserView])
async def list_users(ask: KeyAsk, query: Annotated[PageQuery, Query()]) -> Response:
    """In the order of their ids."""
    async with ask.deps.database.begin() as connection:
        users = await store.list_users(connection, ask.app_id, query.cursor, query.limit + 1)
    return page(users, query.limit, lambda user: user.user_id)


@routes.post(
    "/v1/users/{user_id}/revoke-tokens",
    summary="Revoke a user's tokens",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def revoke_tokens(ask: KeyAsk, user_id: UserId, body: Empty) -> Response:
    """Every token issued before this moment is refused (401 `token_revoked`), and the user's sockets are closed.

    The user, its devices and its calls stay; a fresh token works at once.
    """
    del body
    deps = ask.deps
    async with deps.database.begin() as connection:
        known = await store.revoke_tokens(connection, ask.app_id, user_id)
    if not known:
        raise no_such_user()
    deps.gate.forget(ask.app_id, user_id)
    await deps.dismiss(ask.app_id, user_id)
    return nothing()


@routes.delete(
    "/v1/users/{user_id}",
    summary="Delete a user",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def delete_user(ask: Ask, user_id: UserId) -> Response:
    """The user leaves its calls (`terminated`), its tokens are revoked, its sockets closed, its devices forgotten.

    What is told of past calls stays. A user of the same id can be made again and is then a new one.
    """
    allowed(may_change_user(ask.principal, user_id))
    deps = ask.deps
    known = await take_leave(deps.database, deps.switchboard, ask.app_id, user_id, ask.principal.actor)
    deps.gate.forget(ask.app_id, user_id)
    await deps.dismiss(ask.app_id, user_id)
    deps.moved(ask.app_id, user_id)
    if not known:
        raise no_such_user()
    return nothing()
