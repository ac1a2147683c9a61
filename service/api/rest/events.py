"""The app's feed, for consumers that prefer pulling: every event once, in an order that is the same for everybody."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.door import Door, KeyAsk
from service.api.polling import cursor_after, first_page, place_of
from service.api.replies import Reply, feed_page
from service.store.database import Driver
from service.store.events import Page, Place, feed
from service.wire.requests import ReadFeed
from service.wire.views import FeedPage

routes = APIRouter(route_class=Door, tags=["events"])


@routes.get("/v1/events", summary="Everything told in the app, in order", response_model=FeedPage)
async def read_feed(ask: KeyAsk, query: Annotated[ReadFeed, Query()]) -> Response:
    """Go on with `next_cursor` as `after`: no event is ever left out, also while others are being written.

    With `wait_s` the answer waits for a first event. With `types`, and very much else behind `after`, a page may be
    empty before the end: then `next_cursor` has moved on, and `more` is true.
    """

    async def look(driver: Driver, place: Place) -> Page:
        return await feed(driver, ask.app_id, place, query.types, query.limit)

    page = await first_page(ask.deps, ask.app_id, place_of(query.after), query.wait_s, look)
    return Reply(feed_page(page.texts, cursor_after(page, query.after), more=page.more))
