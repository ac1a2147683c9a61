"""Credentials as they are kept: sealed, found by senders, and what was said of them."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from service.core.vocabulary import Channel
from service.store.apps import create_app
from service.store.credentials import (
    AHEAD_S,
    FRESH_S,
    NO_KEY,
    NONE,
    OTHER_KEY,
    CredentialBook,
    list_credentials,
    put_credentials,
    remove_credentials,
    reseal,
    take_credentials,
)
from service.store.database import Database, DatabaseConfig, StoreUnavailableError
from service.wire.credentials import Granted, WebPushCredentials
from service.wire.sealing import Vault
from tests.api.front import Clock
from tests.fixtures.postgres import value

OLD, NEW = "the old key of the tests", "the new key of the tests"
BODY = WebPushCredentials(subject="mailto:calls@example.com")
PLACE = Channel.WEBPUSH, "production"


@pytest.fixture
async def app(database):
    async with database.begin() as connection:
        return (await create_app(connection, "test")).app_id


async def take(database, app, vault, body=BODY):
    async with database.begin() as connection:
        return await take_credentials(connection, vault, app, "production", body)


async def told(database, app, vault):
    async with database.begin() as connection:
        (view,) = await list_credentials(connection, app, vault)
    return view.works, view.problem


async def test_there_must_be_an_app(database):
    assert await take(database, "nobody", Vault([OLD])) is None


async def test_senders_find_what_was_kept_and_hear_of_another_soon(database, app):
    vault, clock = Vault([OLD]), Clock()
    book = CredentialBook(database, vault, clock)
    assert await book.find(app, *PLACE) == NONE.format(*PLACE)
    await take(database, app, vault)
    assert isinstance(await book.find(app, *PLACE), str), "not yet"
    clock.skip(FRESH_S)
    first = await book.find(app, *PLACE)
    assert first.body.private_key is not None
    assert await book.find(app, Channel.FCM, "production") == "the app has no credentials for fcm (production)"
    async with database.begin() as connection:
        await remove_credentials(connection, app, *PLACE)
    assert await book.find(app, *PLACE) == first
    book.forget()
    assert await book.find(app, *PLACE) == NONE.format(*PLACE)


async def test_what_a_provider_said_is_said_of_the_next_ones_anew(database, app):
    vault, clock = Vault([OLD]), Clock()
    book = CredentialBook(database, vault, clock)
    for problem in (None, "no", None):
        await take(database, app, vault)
        assert await told(database, app, vault) == (None, None)
        clock.skip(FRESH_S)
        granted = await book.find(app, *PLACE)
        await book.note(granted, problem)
        assert await told(database, app, vault) == (problem is None, problem)


async def test_what_a_provider_said_of_the_ones_before_is_not_said_of_the_new_ones(database, app):
    vault = Vault([OLD])
    await take(database, app, vault)
    book = CredentialBook(database, vault, Clock())
    before = await book.find(app, *PLACE)
    await take(database, app, vault, BODY.model_copy(update={"subject": "mailto:second@example.com"}))
    await book.note(before, "no")
    assert await told(database, app, vault) == (None, None)
    book.forget()
    await book.note(before, "no")
    await book.find(app, *PLACE)
    await book.note(before, "no")
    assert await told(database, app, vault) == (None, None)


async def test_what_another_key_sealed_is_not_found_and_can_be_replaced(database, app):
    await take(database, app, Vault([OLD]))
    book = CredentialBook(database, Vault([NEW]), Clock())
    assert await book.find(app, *PLACE) == OTHER_KEY
    assert await CredentialBook(database, None, Clock()).find(app, *PLACE) == NO_KEY
    taken = await take(database, app, Vault([NEW]))
    assert not taken.created
    book.forget()
    assert (await book.find(app, *PLACE)).body.private_key is not None


async def test_everything_is_sealed_anew_so_that_an_old_key_can_go(database, db_url, app):
    async with database.begin() as connection:
        lost = Granted(app, Channel.APNS, "production", BODY)
        await put_credentials(connection, Vault(["a key that nobody has"]), lost, {})
    before = (await take(database, app, Vault([OLD]))).view.about
    async with database.begin() as connection:
        assert await reseal(connection, Vault([NEW, OLD])) == (1, 1)
    found = await CredentialBook(database, Vault([NEW]), Clock()).find(app, *PLACE)
    async with database.begin() as connection:
        views = await list_credentials(connection, app, Vault([NEW]))
    assert [view.works for view in views] == [False, None]
    assert views[1].about == before
    assert found.body.subject == BODY.subject
    assert await value(db_url, "SELECT count(*) FROM provider_tokens") == 0


class Watched:
    """A database that counts its transactions, and lets each end when `gate` is open."""

    def __init__(self, database):
        self.database = database
        self.times = 0
        self.read, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def begin(self):
        self.times += 1
        async with self.database.begin() as connection:
            yield connection
        self.read.set()
        await self.gate.wait()


async def test_credentials_are_looked_up_once_for_all_who_ask_and_ahead_of_time(database, app):
    vault, clock, watched = Vault([OLD]), Clock(), Watched(database)
    await take(database, app, vault)
    book = CredentialBook(watched, vault, clock)
    first, *others = await asyncio.gather(*(book.find(app, *PLACE) for _ in range(20)))
    assert watched.times == 1
    assert all(other is first for other in others)
    await take(database, app, vault, BODY.model_copy(update={"subject": "mailto:second@example.com"}))
    clock.skip(FRESH_S - AHEAD_S)
    assert await book.find(app, *PLACE) is first, "who asks early does not wait"
    clock.skip(AHEAD_S)
    assert (await book.find(app, *PLACE)).body.subject == "mailto:second@example.com"
    assert watched.times == 2


async def test_what_was_read_before_a_change_is_not_remembered_after_it(database, app):
    vault, watched = Vault([OLD]), Watched(database)
    book = CredentialBook(watched, vault, Clock())
    watched.gate.clear()
    early = asyncio.create_task(book.find(app, *PLACE))
    await watched.read.wait()
    await take(database, app, vault)
    book.forget()
    watched.gate.set()
    assert await early == NONE.format(*PLACE)
    assert isinstance(await book.find(app, *PLACE), Granted)


async def test_who_cannot_look_them_up_is_told_so_and_asks_again(database, app):
    vault = Vault([OLD])
    await take(database, app, vault)
    away = Database(DatabaseConfig("postgresql://nobody@127.0.0.1:1/nothing", pool_size=2))
    watched = Watched(away)
    book = CredentialBook(watched, vault, Clock())
    with pytest.raises(StoreUnavailableError):
        await book.find(app, *PLACE)
    watched.database = database
    assert isinstance(await book.find(app, *PLACE), Granted)
    await away.close()


async def test_what_cannot_be_noted_of_them_now_is_noted_the_next_time(database, app):
    vault = Vault([OLD])
    await take(database, app, vault)
    watched = Watched(database)
    book = CredentialBook(watched, vault, Clock())
    granted = await book.find(app, *PLACE)
    watched.database = away = Database(DatabaseConfig("postgresql://nobody@127.0.0.1:1/nothing", pool_size=2))
    await book.note(granted, "no")
    watched.database = database
    await book.note(granted, "no")
    assert await told(database, app, vault) == (False, "no")
    await away.close()
