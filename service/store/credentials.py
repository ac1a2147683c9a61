"""Credentials of the apps' channels: sealed as they come in, opened for the moment of their use."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Row, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.vocabulary import Channel
from service.store.database import ConflictError, Database, StoreUnavailableError
from service.store.tables import apps, provider_tokens
from service.store.tables import push_credentials as table
from service.wire.credentials import Credentials, CredentialsView, Environment, Granted
from service.wire.sealing import UnsealedError, Vault
from service.wire.uploads import Checked, completed

NOW = func.clock_timestamp()
PRODUCTION: Environment = "production"
FRESH_S = 2.0
"""How long a process goes by the credentials it knew."""
AHEAD_S = 1.0
"""So long before, it looks them up anew while it still goes by them: no alert waits for that."""
BODY: TypeAdapter[Any] = TypeAdapter(Credentials)
NONE = "the app has no credentials for {} ({})"
NO_KEY = "this service has no key to keep credentials with: set HOOKSWITCH_SECRET_KEYS"
OTHER_KEY = "they were encrypted with a key that is not among those of this service (HOOKSWITCH_SECRET_KEYS)"
OTHER_SHAPE = "they do not fit this version of the service: upload them again"


@dataclass(slots=True, frozen=True)
class Kept:
    """An app's credentials for one channel; `problem` where they cannot be used by this service."""

    app_id: str
    app_name: str
    channel: Channel
    environment: Environment
    granted: Granted | None
    problem: str | None = None


@dataclass(slots=True, frozen=True)
class Taken:
    """Credentials that are kept now. `secret` was made for them."""

    view: CredentialsView
    created: bool
    secret: str | None = field(default=None, repr=False)


def _of(app_id: str, channel: Channel, environment: Environment) -> ColumnElement[bool]:
    return and_(table.c.app_id == app_id, table.c.channel == channel.value, table.c.environment == environment)


async def put_credentials(
    connection: AsyncConnection, vault: Vault, granted: Granted, about: dict[str, str]
) -> tuple[CredentialsView, bool]:
    """Keep credentials in place of those before, if any; true when there were none. `about` may be told."""
    sealed = vault.seal(orjson.dumps(granted.body.model_dump(mode="json")))
    said = {"sealed": sealed, "shown": {"about": about}, "updated_at": NOW}
    before = await connection.scalar(
        select(func.count()).where(_of(granted.app_id, granted.channel, granted.environment))
    )
    written = await connection.execute(
        insert(table)
        .values(app_id=granted.app_id, channel=granted.channel.value, environment=granted.environment, **said)
        .on_conflict_do_update(index_elements=list(table.primary_key), set_=said)
        .returning(table)
    )
    return _view(written.one()), not before


async def take_credentials(
    connection: AsyncConnection, vault: Vault, app_id: str, environment: Environment, body: Checked
) -> Taken | None:
    """Keep credentials that were checked, with what they left out; `None`: there is no such app."""
    # One upload at a time for each app, so that no two make a key for it.
    locked = select(apps.c.id).where(apps.c.id == app_id).with_for_update(key_share=True)
    if await connection.scalar(locked) is None:
        return None
    sealed = await connection.scalar(select(table.c.sealed).where(_of(app_id, body.channel, environment)))
    before = None if sealed is None else _opened(vault, sealed)
    upload = completed(body, None if isinstance(before, str) else before)
    granted = Granted(app_id, body.channel, environment, upload.body)
    view, created = await put_credentials(connection, vault, granted, upload.about)
    return Taken(view, created, upload.secret)


async def list_credentials(connection: AsyncConnection, app_id: str, vault: Vault | None) -> list[CredentialsView]:
    """What may be told of the app's credentials, by channel and environment; also that they cannot be opened."""
    rows = await connection.execute(
        select(table).where(table.c.app_id == app_id).order_by(table.c.channel, table.c.environment)
    )
    return [_broken(_view(row), _opened(vault, row.sealed)) for row in rows]


async def every_credential(connection: AsyncConnection, vault: Vault | None) -> list[Kept]:
    """What all apps have, opened where it can be."""
    query = select(table, apps.c.name.label("app_name")).join(apps, apps.c.id == table.c.app_id)
    rows = await connection.execute(query.order_by(apps.c.created_at, table.c.channel, table.c.environment))
    return [_kept(row, vault) for row in rows]


async def public_key(connection: AsyncConnection, app_id: str) -> str | None:
    """What the browsers of the app's users subscribe to Web Push with, if the app has credentials for it."""
    shown = await connection.scalar(select(table.c.shown).where(_of(app_id, Channel.WEBPUSH, PRODUCTION)))
    return None if shown is None else shown["about"].get("public_key")


async def remove_credentials(
    connection: AsyncConnection, app_id: str, channel: Channel, environment: Environment
) -> bool:
    """Forget credentials; false when there were none."""
    done = await connection.execute(delete(table).where(_of(app_id, channel, environment)))
    return done.rowcount > 0


async def reseal(connection: AsyncConnection, vault: Vault) -> tuple[int, int]:
    """Seal everything with the first key; how many were, and how many no key opens. These stay as they are."""
    rows = await connection.execute(select(table).with_for_update())
    done, closed = 0, 0
    for row in rows.all():
        try:
            fresh = vault.seal(vault.open(row.sealed))
        except UnsealedError:
            closed += 1
            continue
        where = _of(row.app_id, Channel(row.channel), row.environment)
        await connection.execute(update(table).where(where).values(sealed=fresh))
        done += 1
    await connection.execute(delete(provider_tokens))  # made again when they are needed
    return done, closed


Key = tuple[str, Channel, Environment]


@dataclass(slots=True)
class _Page:
    """What was found; `since` tells an upload from the one before."""

    granted: Granted | str
    since: datetime | None
    fresh_until: float


class CredentialBook:
    """The apps' credentials as senders want them, remembered for a moment, and looked up once for all who ask.

    Raises `StoreUnavailableError` when it must look up and PostgreSQL is away.
    """

    def __init__(self, database: Database, vault: Vault | None, clock: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._pages: dict[Key, _Page] = {}
        self._noted: dict[Key, str | None] = {}
        self._flights: dict[Key, asyncio.Task[_Page]] = {}

    def forget(self) -> None:
        """Look everything up anew: something was changed."""
        self._pages.clear()
        self._noted.clear()
        self._flights.clear()

    async def find(self, app_id: str, channel: Channel, environment: Environment) -> Granted | str:
        """The app's credentials for that channel; or why there are none that can be used."""
        key = app_id, channel, environment
        page, now = self._pages.get(key), self._clock()
        if page is None or page.fresh_until - now <= AHEAD_S:
            flight = self._flight(key)
            if page is None or page.fresh_until <= now:
                page = await asyncio.shield(flight)  # who gives up first must not take it away from the others
        return page.granted

    def _flight(self, key: Key) -> asyncio.Task[_Page]:
        """The look into the database that is under way, or a new one."""
        if key not in self._flights:
            flight = self._flights[key] = asyncio.create_task(self._look(*key), name="credentials")
            flight.add_done_callback(partial(self._landed, key))
        return self._flights[key]

    def _landed(self, key: Key, flight: asyncio.Task[_Page]) -> None:
        failed = flight.cancelled() or flight.exception()
        if self._flights.get(key) is not flight:
            return  # something was changed meanwhile
        del self._flights[key]
        if failed:
            return  # who waited for it was told; others ask again
        page, found = self._pages.get(key), flight.result()
        if page is None or page.since != found.since:
            self._noted.pop(key, None)  # what was said of the ones before is not said of these
        self._pages[key] = found

    async def _look(self, app_id: str, channel: Channel, environment: Environment) -> _Page:
        granted: Granted | str = NO_KEY
        since = None
        if self._vault is not None:
            columns = select(table.c.sealed, table.c.updated_at).where(_of(app_id, channel, environment))
            async with self._database.begin() as connection:
                row = (await connection.execute(columns)).one_or_none()
            body = _opened(self._vault, row.sealed) if row else NONE.format(channel, environment)
            granted = body if isinstance(body, str) else Granted(app_id, channel, environment, body)
            since = row.updated_at if row else None
        return _Page(granted, since, self._clock() + FRESH_S)

    async def note(self, granted: Granted, problem: str | None) -> None:
        """The provider refused these credentials for that reason, or took them. Written when it is news and can be.

        Nothing is said of credentials that have taken their place since.
        """
        key = granted.app_id, granted.channel, granted.environment
        page = self._pages.get(key)
        if page is None or page.granted != granted or (key in self._noted and self._noted[key] == problem):
            return
        self._noted[key] = problem
        news = {"works": problem is None, "problem": problem}
        try:
            async with self._database.begin() as connection:
                await connection.execute(
                    update(table)
                    .where(_of(*key), table.c.updated_at == page.since)
                    .values(shown=table.c.shown.op("||")(news)),
                )
        except (StoreUnavailableError, ConflictError):
            self._noted.pop(key, None)  # it is news the next time


def _opened(vault: Vault | None, sealed: bytes) -> Checked | str:
    """What was sealed, or why it cannot be used here."""
    if vault is None:
        return NO_KEY
    try:
        body: Checked = BODY.validate_json(vault.open(sealed))
    except UnsealedError:
        return OTHER_KEY
    except ValidationError:
        return OTHER_SHAPE
    return body


def _kept(row: Row[Any], vault: Vault | None) -> Kept:
    body, channel = _opened(vault, row.sealed), Channel(row.channel)
    if isinstance(body, str):
        return Kept(row.app_id, row.app_name, channel, row.environment, None, body)
    granted = Granted(row.app_id, channel, row.environment, body)
    return Kept(row.app_id, row.app_name, channel, row.environment, granted)


def _broken(view: CredentialsView, found: Checked | str) -> CredentialsView:
    """Nobody tries what cannot be opened, so nobody else would say so."""
    return view.model_copy(update={"works": False, "problem": found}) if isinstance(found, str) else view


def _view(row: Row[Any]) -> CredentialsView:
    return CredentialsView(
        channel=Channel(row.channel),
        environment=row.environment,
        about=row.shown["about"],
        works=row.shown.get("works"),
        problem=row.shown.get("problem"),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
