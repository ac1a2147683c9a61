"""Waiting for a first page: looking again, and not more often than is good for the database."""

from service.api.polling import SHORTEST_LOOK_S, first_page
from service.store.events import Page, Place

WAIT_S = 0.4


async def test_a_busy_app_is_not_looked_through_without_a_pause(front):
    """Somebody waits for what never comes, while everything else is told all the time."""
    looks = 0

    async def look(_driver, place):
        nonlocal looks
        looks += 1
        front.deps.bell.ring_for("app")
        return Page([], place)

    assert (await first_page(front.deps, "app", Place(), WAIT_S, look)).texts == []
    assert 1 < looks <= WAIT_S / SHORTEST_LOOK_S + 2


async def test_who_asks_for_little_of_a_large_feed_is_answered_at_its_end(front):
    looks = []

    async def look(_driver, place):
        looks.append(place.seq)
        return Page(["there"] if place.seq == 3 else [], Place(seq=place.seq + 1), more=place.seq < 3)

    assert (await first_page(front.deps, "app", Place(), 0, look)).texts == ["there"]
    assert looks == [0, 1, 2, 3]
