"""Presence: who is online, offline or busy, with whom and on which device."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from service.api.calling import allowed
from service.api.declared import refusals
from service.api.door import Ask, Door
from service.api.errors import RefusedError
from service.api.pages import one
from service.api.replies import Reply, nothing
from service.api.rest.devices import need_user
from service.api.rest.users import no_such_user
from service.core.cti import Format
from service.core.presence import Presence
from service.core.refusals import Code
from service.core.rights import may_change_user, may_see_company, may_see_presence
from service.store import presence as store
from service.store.users import get_user, list_user_ids
from service.switchboard.presence import look
from service.wire.presence import PresenceAnswer, PresenceBody, PresenceView, Source, presence_view
from service.wire.shapes import Body, Page, PageQuery, cursor_of
from service.wire.texts import UserId

routes = APIRouter(route_class=Door, tags=["presence"])

MOST_ASKED = 200


class FormatQuery(Body):
    """`format` adds `mapped`: the word of that system for it."""

    format: Format | None = None


class ManyQuery(PageQuery, FormatQuery):
    """Either `user_id`, up to 200 times, or a page of all users."""

    user_id: Annotated[list[UserId], Field(max_length=MOST_ASKED)] | None = None


class SourceQuery(Body):
    """Whose word to forget."""

    source: Source


@routes.get(
    "/v1/users/{user_id}/presence",
    summary="Read a user's presence",
    response_model=PresenceAnswer,
    responses=refusals(Code.NOT_FOUND),
)
async def get_presence(ask: Ask, user_id: UserId, query: Annotated[FormatQuery, Query()]) -> Response:
    """As of this moment; nothing is cached.

    A user token sees others as the app's setting `busy_with_visible_to` says; a guest's, or one for a single call, its
    own user alone.
    """
    allowed(may_see_presence(ask.principal, user_id))
    return one(_view(ask, await _presence(ask, user_id), query.format))


@routes.get(
    "/v1/presence",
    summary="Read the presence of many users",
    response_model=Page[PresenceAnswer],
)
async def list_presence(ask: Ask, query: Annotated[ManyQuery, Query()]) -> Response:
    """With `user_id`: of these users, in that order, without those who are not known; else of all users, page by page.

    A user token gets its own, or that of the users it names.
    """
    user_ids, following = query.user_id, None
    if not ask.principal.is_backend and user_ids is None:
        user_ids = [ask.principal.user_id or ""]
    if user_ids is None:
        user_ids, following = await _page_of_users(ask, query)
    for user_id in user_ids:
        allowed(may_see_presence(ask.principal, user_id))
    found = await _look(ask, list(dict.fromkeys(user_ids)))
    items = [_view(ask, presence, query.format).model_dump(mode="json") for presence in found]
    return Reply({"items": items, "next_cursor": following})


@routes.put(
    "/v1/users/{user_id}/presence",
    summary="Say what another system knows of a user",
    response_model=PresenceView,
    responses=refusals(Code.NOT_FOUND, Code.CAPACITY_EXCEEDED),
)
async def put_presence(ask: Ask, user_id: UserId, body: PresenceBody) -> Response:
    """It replaces what the same source said before, counts until it expires, and is weighed with what is known here.

    Whoever is busy elsewhere is rung by callers all the same, unless the app's setting `external_busy` is on: then the
    leg is `busy` at once and the call missed. At most 20 sources speak of one user (409 `capacity_exceeded`).
    """
    allowed(may_change_user(ask.principal, user_id))
    await need_user(ask, user_id)
    try:
        async with ask.deps.database.begin() as connection:
            await store.keep_said(connection, ask.app_id, user_id, body)
    except store.TooManySourcesError:
        limit = f"at most {store.MOST_SOURCES} sources speak of one user"
        raise RefusedError(Code.CAPACITY_EXCEEDED, limit) from None
    ask.deps.moved(ask.app_id, user_id)
    return one(presence_view(await _presence(ask, user_id)))


@routes.delete(
    "/v1/users/{user_id}/presence",
    summary="Take back what another system said",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def delete_presence(ask: Ask, user_id: UserId, query: Annotated[SourceQuery, Query()]) -> Response:
    """Fine also when that source has said nothing, or nothing that still counts."""
    allowed(may_change_user(ask.principal, user_id))
    async with ask.deps.database.begin() as connection:
        if await get_user(connection, ask.app_id, user_id) is None:
            raise no_such_user()
        await store.drop_said(connection, ask.app_id, user_id, query.source)
    ask.deps.moved(ask.app_id, user_id)
    return nothing()


def _view(ask: Ask, presence: Presence, form: Format | None) -> PresenceView:
    """As the asker may see it."""
    company = may_see_company(ask.principal, presence.user_id, ask.settings.busy_with_visible_to)
    return presence_view(presence, form, company=company)


async def _presence(ask: Ask, user_id: str) -> Presence:
    found = await _look(ask, [user_id])
    if not found:
        raise no_such_user()
    return found[0]


async def _look(ask: Ask, user_ids: list[str]) -> list[Presence]:
    return await look(ask.deps.database, ask.deps.switchboard, ask.app_id, ask.settings, user_ids)


async def _page_of_users(ask: Ask, query: ManyQuery) -> tuple[list[str], str | None]:
    async with ask.deps.database.begin() as connection:
        user_ids = await list_user_ids(connection, ask.app_id, query.cursor, query.limit + 1)
    items = user_ids[: query.limit]
    return items, cursor_of(items[-1]) if len(user_ids) > query.limit else None
