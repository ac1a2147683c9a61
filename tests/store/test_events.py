"""The app's feed as it is read from the table: whole and in order, however large its transaction ids are."""

from uuid import UUID

import pytest

from service.store.events import LOOKED_THROUGH, Place, feed
from tests.switchboard.desk import APP, Desk

STREAM = UUID(int=7)
WRITE = """
INSERT INTO events (stream, seq, event_id, app_id, type, tx, text) VALUES ($1, $2, $3, $4, $5, $6::text::xid8, $7)
"""


@pytest.fixture
async def desk(database):
    return await Desk(database).open()


async def written(desk, *places):
    """Events of one stream, `places` are their transactions; those of a fresh database are in the hundreds."""
    async with desk.database.hot() as driver:
        for seq, tx in enumerate(places, 1):
            await driver.execute(WRITE, STREAM, seq, UUID(int=seq), APP, "call.updated", str(tx), str(seq))


async def read(desk, limit, *patterns):
    found, place = [], Place()
    while True:
        async with desk.database.hot() as driver:
            page = await feed(driver, APP, place, patterns, limit)
        if not page.texts:
            return found
        found += [int(text) for text in page.texts]
        place = page.place


@pytest.mark.parametrize("patterns", [(), ("call.*",)])
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_the_order_is_that_of_numbers_where_an_id_gains_a_digit(desk, limit, patterns):
    await written(desk, 8, 9, 10, 11, 98, 99, 100, 101)
    assert await read(desk, limit, *patterns) == [1, 2, 3, 4, 5, 6, 7, 8]


MANY = """
INSERT INTO events (stream, seq, event_id, app_id, type, tx, text)
SELECT $1, n, gen_random_uuid(), $2, 'call.updated', '100'::xid8, n::text FROM generate_series(1, $3::int) n
"""


async def test_what_nobody_asks_for_is_looked_through_in_parts(desk):
    """However much of it there is, one look is a short one, and the reader has come further with it."""
    async with desk.database.hot() as driver:
        await driver.execute(MANY, STREAM, APP, LOOKED_THROUGH + 5)
        await driver.execute(WRITE, STREAM, LOOKED_THROUGH + 6, UUID(int=1), APP, "call.ended", "100", "end")
        first = await feed(driver, APP, Place(), ("call.ended",), 10)
        assert (first.texts, first.place, first.more) == ([], Place(100, STREAM, LOOKED_THROUGH), True)
        second = await feed(driver, APP, first.place, ("call.ended",), 10)
        assert (second.texts, second.place, second.more) == (["end"], Place(100, STREAM, LOOKED_THROUGH + 6), False)
        both = await feed(driver, APP, Place(), ("call.*",), 10)
        assert (both.texts[-1], both.place) == ("10", Place(100, STREAM, 10))
