"""No test sees an earlier one, although databases are used again."""

import asyncpg
import pytest

from tests.fixtures.postgres import execute, value
from tests.fixtures.shelf import Shelf, connected


@pytest.fixture
async def shelf(postgres_server, postgres_template):
    shelf = Shelf(postgres_server, postgres_template)
    yield shelf
    await shelf.close()


async def test_rows_and_connections_are_gone_and_numbers_begin_again(shelf):
    async with shelf.borrowed() as first:
        await execute(
            first,
            "INSERT INTO apps (id, name) VALUES ('app', 'x')",
            "INSERT INTO users (app_id, id) VALUES ('app', 'ann')",
            "SELECT nextval('deliveries_id_seq')",
        )
        left = await asyncpg.connect(first.replace("+asyncpg", ""))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await left.execute("INSERT INTO apps (id, name) VALUES ('late', 'x')")
    async with shelf.borrowed() as second:
        assert second == first
        assert await value(second, "SELECT (SELECT count(*) FROM apps) + (SELECT count(*) FROM users)") == 0
        assert await value(second, "SELECT nextval('deliveries_id_seq')") == 1
        assert await value(second, "SELECT count(*) FROM alembic_version") == 1


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE apps DROP COLUMN name",
        "CREATE INDEX again ON apps (name)",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP INDEX CONCURRENTLY IF EXISTS again; CREATE TABLE more ()",
        "INSERT INTO apps (id, name) SELECT n::text, 'x' FROM generate_series(1, 9) n; ANALYZE apps",
        "INSERT INTO apps (id, name) SELECT n::text, repeat('x', 100) FROM generate_series(1, 40000) n",
    ],
)
async def test_whoever_changes_more_than_rows_takes_the_database_along(shelf, change):
    async with shelf.borrowed() as first, connected(first) as connection:
        for statement in change.split("; "):
            await connection.execute(statement)
    assert shelf.free == []
    async with shelf.borrowed() as second:
        assert second != first
        assert await value(second, "SELECT count(*) FROM apps WHERE name <> ''") == 0
