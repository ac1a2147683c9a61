"""Long polling: look, and look again until something is there or the time is over."""

import asyncio
from collections.abc import Awaitable, Callable

from service.api.deps import Deps
from service.api.errors import RefusedError
from service.core.refusals import Code
from service.store.database import Driver
from service.store.events import Page, Place

Look = Callable[[Driver, Place], Awaitable[Page]]
"""Reads what is behind a place."""

SHORTEST_LOOK_S = 0.02
LONGEST_LOOK_S = 1.0
"""Between these is looked again while somebody waits: a bell may ring before the event can be read."""
LONGEST_LOOKING_S = 10.0
"""So long is looked through what the reader does not ask for; then it may go on from there."""


def place_of(after: str | None) -> Place:
    """The place in a query's `after`; the beginning when it is left out."""
    if after is None:
        return Place()
    try:
        return Place.parse(after)
    except ValueError:
        raise RefusedError(Code.INVALID_REQUEST, "query.after: not a cursor of this feed") from None


def cursor_after(page: Page, asked: str | None) -> str | None:
    """Where the reader goes on: behind the page, or where it stood when there was never anything."""
    return page.place.cursor if page.texts or page.place != Place() else asked


async def first_page(deps: Deps, app_id: str, place: Place, wait_s: float, look: Look) -> Page:
    """The first page that has something in it, or an empty one after `wait_s`; no connection is held meanwhile.

    The bell rings for every event of the app, also for those that this reader does not ask for: a busy app must not
    be looked through without a pause.
    """
    pause = SHORTEST_LOOK_S
    until = deps.clock() + wait_s
    while True:
        bell = deps.bell.listen(app_id)
        page = await _look_through(deps, place, look)
        left = until - deps.clock()
        if page.texts or page.more or left <= 0 or deps.bell.closed:
            return page
        place = page.place
        if bell.is_set():
            pause = SHORTEST_LOOK_S
        await asyncio.sleep(min(SHORTEST_LOOK_S, left))
        await deps.bell.wait(bell, min(pause, left) - SHORTEST_LOOK_S)
        pause = min(pause * 2, LONGEST_LOOK_S)


async def _look_through(deps: Deps, place: Place, look: Look) -> Page:
    """Look on until there is something, or all has been looked through; others have the connection in between."""
    until = deps.clock() + LONGEST_LOOKING_S
    while True:
        async with deps.database.hot() as driver:
            page = await look(driver, place)
        if page.texts or not page.more or deps.bell.closed or deps.clock() >= until:
            return page
        place = page.place
