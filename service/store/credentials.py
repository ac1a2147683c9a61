"""Credentials of the apps' channels: sealed as they come in, opened for the moment of their use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.vocabulary import Channel
from service.store.database import Database
from service.store.tables import push_credentials as table
from service.wire.credentials import Credentials, CredentialsView, Environment, Granted
from service.wire.sealing import UnsealedError, Vault

NOW = func.clock_timestamp()
FRESH_S = 2.0
"""How long a process goes by the credentials it knew."""
BODY: TypeAdapter[Any] = TypeAdapter(Credentials)


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


async def list_credentials(connection: AsyncConnection, app_id: str) -> list[CredentialsView]:
    """What may be told of the app's credentials, by channel and environment."""
    rows = await connection.execute(
        select(table).where(table.c.app_id == app_id).order_by(table.c.channel, table.c.environment)
    )
    return [_view(row) for row in rows]


async def remove_credentials(
    connection: AsyncConnection, app_id: str, channel: Channel, environment: Environment
) -> bool:
    """Forget credentials; false when there were none."""
    done = await connection.execute(delete(table).where(_of(app_id, channel, environment)))
    return done.rowcount > 0


@dataclass(slots=True)
class _Page:
    granted: Granted | None
    fresh_until: float


class CredentialBook:
    """The apps' credentials as senders want them, remembered for a moment.

    Raises `StoreUnavailableError` when it must look up and PostgreSQL is away.
    """

    def __init__(self, database: Database, vault: Vault | None, clock: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._pages: dict[tuple[str, Channel, str], _Page] = {}
        self._noted: dict[tuple[str, Channel, str], str | None] = {}

    def forget(self) -> None:
        """Look everything up anew: something was changed."""
        self._pages.clear()
        self._noted.clear()

    async def find(self, app_id: str, channel: Channel, environment: Environment) -> Granted | None:
        """The app's credentials for that channel; `None` when it has none, or none that this service's key opens."""
        key = app_id, channel, environment
        page = self._pages.get(key)
        if page is None or page.fresh_until <= self._clock():
            page = _Page(await self._look(app_id, channel, environment), self._clock() + FRESH_S)
            self._pages[key] = page
        return page.granted

    async def _look(self, app_id: str, channel: Channel, environment: Environment) -> Granted | None:
        if self._vault is None:
            return None
        async with self._database.begin() as connection:
            sealed = await connection.scalar(select(table.c.sealed).where(_of(app_id, channel, environment)))
        if sealed is None:
            return None
        try:
            body = BODY.validate_json(self._vault.open(sealed))
        except UnsealedError:
            return None
        return Granted(app_id, channel, environment, body)

    async def note(self, granted: Granted, problem: str | None) -> None:
        """The provider refused these credentials for that reason, or took them. Written when it is news."""
        key = granted.app_id, granted.channel, granted.environment
        if key in self._noted and self._noted[key] == problem:
            return
        self._noted[key] = problem
        news = {"works": problem is None, "problem": problem}
        async with self._database.begin() as connection:
            await connection.execute(
                update(table).where(_of(*key)).values(shown=table.c.shown.op("||")(news)),
            )


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
