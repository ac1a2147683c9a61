"""The app's feed as it is read from the table: whole and in order, however large its transaction ids are."""

from uuid import UUID

import pytest

from service.store.events import Place, feed
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
