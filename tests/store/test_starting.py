"""Before a process serves: what is wrong with the database is said in one plain sentence."""

import pytest
from sqlalchemy.engine import make_url

from service.store.database import DatabaseConfig
from service.store.starting import UnusableDatabaseError, prepare
from tests.fakes.pooler import fake_pooler
from tests.fixtures.postgres import execute


async def fault(url, **how):
    with pytest.raises(UnusableDatabaseError) as raised:
        await prepare(DatabaseConfig(url, **how))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
async def pooled_url(db_url):
    """The same database through something that swallows notifications."""
    url = make_url(db_url)
    async with fake_pooler(f"{url.query['host']}/.s.PGSQL.5432") as port:
        yield f"postgresql://postgres@127.0.0.1:{port}/{url.database}"


async def test_a_database_of_our_own_is_fine_again_and_again(db_url):
    for _ in range(2):
        await prepare(DatabaseConfig(db_url))


async def test_a_pooler_that_swallows_notifications_is_found_out(pooled_url):
    said = await fault(pooled_url)
    assert "LISTEN hears nothing" in said
    assert "set HOOKSWITCH_LISTEN_DATABASE_URL" in said


async def test_with_a_direct_address_for_listen_it_is_fine(pooled_url, db_url):
    await prepare(DatabaseConfig(pooled_url, listen_url=db_url))


async def test_a_direct_address_that_is_pooled_too_is_found_out(pooled_url, db_url):
    assert "without a pooler between" in await fault(db_url, listen_url=pooled_url)


async def test_nobody_there():
    said = await fault("postgresql://me:hunter2@127.0.0.1:1/x")
    assert said.startswith("PostgreSQL does not answer")
    assert "hunter2" not in said


async def test_a_user_that_does_not_exist(db_url):
    assert "does not let us in" in await fault(db_url.replace("postgres@", "stranger@"))


async def test_a_database_of_a_newer_version(db_url):
    await execute(db_url, "UPDATE alembic_version SET version_num = '9999'")
    assert "newer version" in await fault(db_url)
