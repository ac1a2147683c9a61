"""The migrations lead to exactly the tables of service/store/tables.py."""

import asyncio

import asyncpg
import orjson
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from service.store.calls import decode
from service.store.database import driver_dsn
from service.store.migrating import MIGRATIONS, migrate, newest
from service.store.starting import UnusableDatabaseError, migrate_in_words
from service.store.tables import METADATA
from service.store.turns import encode
from tests.core.story import Story
from tests.fixtures.older import migrated_to
from tests.fixtures.postgres import execute, fresh_database, value

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


OLD_ROWS = """
INSERT INTO apps (id, name) VALUES ('app', 'test');
INSERT INTO users (app_id, id) VALUES ('app', 'ben');
INSERT INTO calls (id, app_id, version, state, body)
  SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'app', 1, 'ringing', $body$BODY$body$
  FROM generate_series(1, 500) AS n;
INSERT INTO call_users (app_id, user_id, call_id) SELECT 'app', 'ben', id FROM calls;
INSERT INTO events (stream, seq, event_id, app_id, type, text)
  SELECT id, 1, gen_random_uuid(), 'app', 'call.created', '{}' FROM calls;
INSERT INTO webhooks (id, app_id, url, types, secret, patterns)
  VALUES ('00000000-0000-4000-8000-000000000001', 'app', 'https://example.com', '{*}', 's', '{%}');
INSERT INTO deliveries (webhook_id, stream, seq) SELECT '00000000-0000-4000-8000-000000000001', id, 1 FROM calls;
"""


def as_it_was(call):
    """The text of a call of the first version: rings knew nothing of pushes."""
    body = orjson.loads(encode(call))
    later = ("provider", "platform", "hardware_id", "pushed_at", "delivered_at", "silenced_at", "failure", "renewed_at")
    for leg in body["legs"]:
        leg["rings"] = [{name: ring[name] for name in ring if name not in later} for ring in leg["rings"]]
    return orjson.dumps(body).decode()


@pytest.fixture
async def old_url(empty_url):
    """A database of the first version that has been in use."""
    await migrated_to("0001", empty_url)
    await execute(empty_url, OLD_ROWS.replace("BODY", as_it_was(Story("ben").call)))
    return empty_url


async def test_a_database_in_use_keeps_its_rows(old_url):
    await migrate(old_url)
    for table in ("calls", "call_users", "events", "deliveries"):
        assert await value(old_url, f"SELECT count(*) FROM {table}") == 500, table  # noqa: S608 - the names above
    assert await value(old_url, "SELECT count(*) FROM call_users WHERE missed") == 0
    assert await value(old_url, "SELECT count(*) FROM calls WHERE media_host IS NOT NULL") == 0
    call = decode(await value(old_url, "SELECT body FROM calls LIMIT 1"), 1)
    assert [(ring.device_id, ring.pushed_at) for ring in call.leg("ben").rings] == [("ben-phone", None)]


async def test_who_holds_a_table_is_not_waited_for_and_nothing_is_changed(old_url):
    backup = await asyncpg.connect(driver_dsn(old_url))
    try:
        async with backup.transaction():
            await backup.execute("LOCK TABLE calls IN ACCESS SHARE MODE")
            with pytest.raises(UnusableDatabaseError, match="another session holds them"):
                await migrate_in_words(old_url, lock_within_s=0.05)
            assert await value(old_url, "SELECT count(*) FROM calls") == 500, "others can read"
            assert await value(old_url, "SELECT version_num FROM alembic_version") == "0001"
    finally:
        await backup.close()
    await migrate(old_url)
    assert await value(old_url, "SELECT version_num FROM alembic_version") == newest()


def test_the_newest_file_is_the_head_of_the_history():
    """So a start on an up-to-date database needs no more than a look at its version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [newest()]
