import asyncio
from itertools import count

import pytest

from service.core.settings import AppSettings
from service.store.apps import (
    AppBook,
    change_settings,
    create_app,
    list_apps,
    settings_of,
    suspend_app,
)
from service.store.database import Database, DatabaseConfig, StoreUnavailableError
from tests.fixtures.postgres import execute, value


@pytest.fixture
async def made(database):
    async with database.begin() as connection:
        return await create_app(connection, "shop", sandbox=True)


@pytest.fixture
def book(database):
    """Every look at the clock is a second later."""
    return AppBook(database, count().__next__, fresh_s=2.5)


async def test_an_app_is_found_by_what_its_creation_gave(made, book):
    by_key = await book.api_key(made.api_key)
    by_kid = await book.signing_key(made.signing_key_id)
    assert by_key.app.id == by_kid.app.id == made.app_id
    assert by_kid.secret == made.signing_secret
    assert await book.signer(made.app_id) == by_kid
    assert (await book.app(made.app_id)).settings == AppSettings(sandbox=True)


async def test_nobody_else_opens_anything(made, book):
    assert await book.api_key(made.api_key + "x") is None
    assert await book.signing_key("sig_unknown") is None
    assert await book.app("app_unknown") is None


async def test_the_key_itself_is_not_kept(made, db_url):
    everything = await value(db_url, "SELECT string_agg(k::text, '') FROM api_keys k")
    assert made.api_key.startswith("hsk_")
    assert made.api_key not in everything
    assert made.api_key.encode().hex() not in everything


async def test_two_apps_share_nothing(database, made):
    async with database.begin() as connection:
        other = await create_app(connection, "shop")
    assert len({*vars_of(made), *vars_of(other)}) == 8


def vars_of(credentials):
    return [getattr(credentials, name) for name in credentials.__slots__]


async def test_settings_are_changed_one_by_one(database, made):
    async with database.begin() as connection:
        await change_settings(connection, made.app_id, {"ring_timeout_s": 20})
        settings = await change_settings(connection, made.app_id, {"call_waiting": True})
        assert await change_settings(connection, "app_unknown", {"sandbox": True}) is None
    assert settings == AppSettings(sandbox=True, ring_timeout_s=20, call_waiting=True)


def test_settings_of_another_version_are_passed_over():
    assert settings_of({"sandbox": True, "not_yet_invented": 1}) == AppSettings(sandbox=True)


async def test_a_change_is_seen_at_once_here_and_soon_elsewhere(database, made, book):
    elsewhere = AppBook(database, count().__next__, fresh_s=2.5)
    assert not (await book.app(made.app_id)).suspended
    assert not (await elsewhere.app(made.app_id)).suspended
    async with database.begin() as connection:
        assert await suspend_app(connection, made.app_id, suspended=True)
    book.forget()
    assert (await book.app(made.app_id)).suspended
    seen = [(await elsewhere.app(made.app_id)).suspended for _ in range(4)]
    assert seen == [False, False, True, True]


async def test_a_revoked_key_opens_nothing(db_url, made, book):
    await execute(db_url, "UPDATE api_keys SET revoked_at = now()", "UPDATE signing_keys SET revoked_at = now()")
    assert await book.api_key(made.api_key) is None
    assert await book.signing_key(made.signing_key_id) is None
    assert await book.signer(made.app_id) is None


async def test_a_crowd_asks_the_database_once_when_a_page_grows_old(made, book):
    first = await book.app(made.app_id)
    assert all(app == first for app in await asyncio.gather(*(book.app(made.app_id) for _ in range(50))))


async def test_without_the_database_nothing_new_is_known():
    away = Database(DatabaseConfig("postgresql://postgres@127.0.0.1:1/nowhere"))
    with pytest.raises(StoreUnavailableError):
        await AppBook(away, count().__next__).app("app_unknown")
    await away.close()


async def test_apps_are_listed_with_the_ids_of_their_keys(database, made):
    async with database.begin() as connection:
        await create_app(connection, "second")
        listed = await list_apps(connection)
    assert [app.name for app in listed] == ["shop", "second"]
    assert all(len(app.api_key_ids) == 1 for app in listed)
