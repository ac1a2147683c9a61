"""The migrations lead to exactly the tables of service/store/tables.py."""

import asyncio

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from service.store.migrating import MIGRATIONS, migrate, newest
from service.store.tables import METADATA
from tests.fixtures.postgres import fresh_database, value

# Everything that makes a schema, as PostgreSQL itself tells it.
CATALOG = {
    "tables": """
        SELECT relname, relpersistence, reloptions::text, obj_description(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace""",
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attstorage,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


async def catalog(connection):
    found = {}
    for part, query in CATALOG.items():
        rows = {tuple(row) for row in await connection.execute(text(query))}
        found[part] = {row for row in rows if "alembic_version" not in str(row)}
    return found


@pytest.fixture
async def empty_url(postgres_server):
    async with fresh_database(postgres_server, "template0") as url:
        yield url


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")  # the other test compares it
async def test_autogenerate_finds_no_difference_between_the_migrated_schema_and_the_tables(database):
    async with database.begin() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), METADATA)
        )
    assert differences == []


async def test_postgresql_itself_sees_the_same_schema_either_way(database, empty_url):
    engine = create_async_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        by_tables = await catalog(connection)
    await engine.dispose()
    async with database.begin() as connection:
        by_migrations = await catalog(connection)
    assert by_tables["tables"]
    for part, rows in by_tables.items():
        assert by_migrations[part] == rows, part


async def test_replicas_that_start_at_once_migrate_once(empty_url):
    await asyncio.gather(*(migrate(empty_url) for _ in range(3)))
    assert await value(empty_url, "SELECT count(*) FROM alembic_version") == 1
    assert await value(empty_url, "SELECT count(*) FROM calls") == 0


async def test_every_migration_can_be_taken_back(empty_url):
    def down(sync):
        config = Config(attributes={"connection": sync})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.downgrade(config, "base")

    await migrate(empty_url)
    engine = create_async_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(down)
        left = await catalog(connection)
    await engine.dispose()
    assert left["tables"] == set()


def test_the_newest_file_is_the_head_of_the_history():
    """So a start on an up-to-date database needs no more than a look at its version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [newest()]
