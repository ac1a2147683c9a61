"""Every change of presence in the app, for consumers that prefer pulling: the twin of a `presence.changed` webhook."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.door import Door, KeyAsk
from service.api.polling import cursor_after, first_page, place_of
from service.api.replies import Reply, feed_page
from service.store.database import Driver
from service.store.events import Page, Place
from service.store.presence_feed import changes, newest
from service.wire.mapped import with_mapped
from service.wire.presence import PresenceChangePage, ReadChanges

routes = APIRouter(route_class=Door, tags=["presence"])


@routes.get("/v1/presence/changes", summary="Every change of presence, in order", response_model=PresenceChangePage)
async def read_changes(ask: KeyAsk, query: Annotated[ReadChanges, Query()]) -> Response:
    """The `presence.changed` events of `GET /v1/events`, by the same cursors. Go on with `next_cursor` as `after`.

    Whoever is far behind asks for `only=newest`: what later events of the same user have outdated is left out, so that
    `seq` has gaps and the last word on everybody is there. From the beginning that is everybody's presence.
    """
    read = newest if query.only == "newest" else changes

    async def look(driver: Driver, place: Place) -> Page:
        return await read(driver, ask.app_id, place, query.limit)

    page = await first_page(ask.deps, ask.app_id, place_of(query.after), query.wait_s, look)
    form = query.format
    texts = [with_mapped(text, form) for text in page.texts] if form else page.texts
    return Reply(feed_page(texts, cursor_after(page, query.after), more=page.more))
