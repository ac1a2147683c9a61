"""Connections for hot statements: kept at hand, given to who waits, and never a dead one."""

import asyncio

import asyncpg
import pytest

from service.store.database import Database, DatabaseConfig, StoreUnavailableError
from tests.fixtures.postgres import execute

PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def narrow(db_url):
    database = Database(DatabaseConfig(db_url, pool_size=1))
    yield database
    await database.close()


async def pid(database):
    async with database.hot() as driver:
        return await driver.fetchval(PID)


async def test_the_same_connection_is_used_again(narrow):
    assert await pid(narrow) == await pid(narrow)
    assert narrow.connections() == (0, 1)
    async with narrow.hot():
        assert narrow.connections() == (1, 0)


async def test_whoever_waits_gets_it_next(narrow):
    assert len(set(await asyncio.gather(*(pid(narrow) for _ in range(20))))) == 1
    assert narrow.connections() == (0, 1)


async def test_whoever_waits_too_long_is_told(db_url):
    database = Database(DatabaseConfig(db_url, pool_size=1, pool_timeout_s=0.05))
    async with database.hot():
        with pytest.raises(StoreUnavailableError):
            await pid(database)
    assert await pid(database)
    await database.close()


async def test_one_that_died_while_nobody_used_it_is_not_given_out(narrow, db_url):
    async with narrow.hot() as driver:
        gone = asyncio.Event()
        driver.add_termination_listener(lambda _: gone.set())
        dead = await driver.fetchval(PID)
    await execute(db_url, f"SELECT pg_terminate_backend({dead})")
    await gone.wait()
    assert await pid(narrow) != dead
    assert narrow.connections() == (0, 1)


async def test_one_that_dies_in_use_is_not_given_out(narrow):
    before = await pid(narrow)

    async def end_oneself():
        async with narrow.hot() as driver:
            await driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreUnavailableError):
        await end_oneself()
    assert await pid(narrow) != before


async def test_a_statement_that_was_given_up_holds_nobody(narrow):
    before = await pid(narrow)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), narrow.hot() as driver:
            await driver.execute("SELECT pg_sleep(60)")
    assert await pid(narrow) == before


async def test_a_statement_that_failed_leaves_a_good_connection(narrow):
    with pytest.raises(asyncpg.UndefinedTableError):
        async with narrow.hot() as driver:
            await driver.execute("SELECT FROM nothing")
    assert await pid(narrow)
    assert narrow.connections() == (0, 1)
