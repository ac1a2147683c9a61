"""The app's feed, for consumers that prefer pulling: every event once, in an order that is the same for everybody."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.door import Door, KeyAsk
from service.api.errors import RefusedError
from service.api.replies import Reply, page_of
from service.core.refusals import Code
from service.store.events import Page, Place, feed
from service.wire.requests import ReadFeed
from service.wire.views import FeedPage

routes = APIRouter(route_class=Door, tags=["events"])

SHORTEST_LOOK_S = 0.02
LONGEST_LOOK_S = 1.0
"""Between these is looked again while somebody waits: a bell may ring before the event can be read."""


@routes.get("/v1/events", summary="Everything told in the app, in order", response_model=FeedPage)
async def read_feed(ask: KeyAsk, query: Annotated[ReadFeed, Query()]) -> Response:
    """Go on with `next_cursor` as `after`: no event is ever left out, also while others are being written.

    With `wait_s` the answer waits for a first event.
    """
    page = await _page(ask, query, _place(query.after))
    cursor = page.place.cursor if page.texts or page.place != Place() else query.after
    return Reply(page_of(page.texts, cursor))


def _place(after: str | None) -> Place:
    if after is None:
        return Place()
    try:
        return Place.parse(after)
    except ValueError:
        raise RefusedError(Code.INVALID_REQUEST, "query.after: not a cursor of this feed") from None


async def _page(ask: KeyAsk, query: ReadFeed, place: Place) -> Page:
    """Look, and look again until something is there or the time is over; no connection is held meanwhile."""
    deps, pause = ask.deps, SHORTEST_LOOK_S
    until = deps.clock() + query.wait_s
    while True:
        bell = deps.bell.listen(ask.app_id)
        async with deps.database.hot() as driver:
            page = await feed(driver, ask.app_id, place, query.types, query.limit)
        left = until - deps.clock()
        if page.texts or left <= 0 or deps.bell.closed:
            return page
        place = page.place
        if bell.is_set():
            pause = SHORTEST_LOOK_S
        await deps.bell.wait(bell, min(pause, left))
        pause = min(pause * 2, LONGEST_LOOK_S)
