"""Apps, their API keys and signing keys.

API keys are kept as SHA-256: they are long and random, so nothing slower is due.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import msgspec
import orjson
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.settings import AppSettings
from service.store.database import Database
from service.store.tables import api_keys, apps, signing_keys

T = TypeVar("T")

KEY_PREFIX = "hsk_"
FRESH_S = 2.0
"""How long a process goes by what it knew of an app."""
KNOWN_SETTINGS = frozenset(field.name for field in fields(AppSettings))


@dataclass(slots=True, frozen=True)
class App:
    """An app as every request sees it."""

    id: str
    name: str
    settings: AppSettings
    suspended: bool


@dataclass(slots=True, frozen=True)
class ApiKey:
    """A valid API key: its own id, by which it may be counted and logged, and the app it opens."""

    id: str
    app: App


@dataclass(slots=True, frozen=True)
class SigningKey:
    """What an app's user tokens are signed with (HS256)."""

    kid: str
    secret: str
    app: App


@dataclass(slots=True, frozen=True)
class Credentials:
    """What a new app gets, shown once."""

    app_id: str
    api_key: str
    signing_key_id: str
    signing_secret: str


@dataclass(slots=True, frozen=True)
class ListedApp:
    """An app as the operator sees it."""

    id: str
    name: str
    created_at: datetime
    suspended_at: datetime | None
    api_key_ids: tuple[str, ...]


def digest_of(api_key: str) -> bytes:
    """What is kept of an API key."""
    return hashlib.sha256(api_key.encode()).digest()


async def create_app(connection: AsyncConnection, name: str, **settings: object) -> Credentials:
    """Make an app with one API key and one signing key. `settings` are those of `AppSettings` that differ."""
    made = Credentials(
        app_id=f"app_{secrets.token_hex(10)}",
        api_key=KEY_PREFIX + secrets.token_urlsafe(32),
        signing_key_id=f"sig_{secrets.token_hex(8)}",
        signing_secret=secrets.token_urlsafe(48),
    )
    await connection.execute(insert(apps).values(id=made.app_id, name=name, settings=_known(settings)))
    await connection.execute(
        insert(api_keys).values(
            digest=digest_of(made.api_key),
            id=f"key_{secrets.token_hex(8)}",
            app_id=made.app_id,
        ),
    )
    await connection.execute(
        insert(signing_keys).values(kid=made.signing_key_id, app_id=made.app_id, secret=made.signing_secret),
    )
    return made


async def list_apps(connection: AsyncConnection) -> list[ListedApp]:
    """Every app, the oldest first."""
    keys = (
        select(func.coalesce(func.array_agg(api_keys.c.id), []))
        .where(api_keys.c.app_id == apps.c.id, api_keys.c.revoked_at.is_(None))
        .scalar_subquery()
    )
    rows = await connection.execute(
        select(apps.c.id, apps.c.name, apps.c.created_at, apps.c.suspended_at, keys).order_by(apps.c.created_at),
    )
    return [ListedApp(*row[:4], tuple(row[4])) for row in rows]


async def change_settings(connection: AsyncConnection, app_id: str, changes: dict[str, Any]) -> AppSettings | None:
    """Set these settings and leave the others; the caller has checked the values. `None`: there is no such app."""
    changed = await connection.execute(
        update(apps)
        .where(apps.c.id == app_id)
        .values(settings=apps.c.settings.op("||")(_known(changes)))
        .returning(apps.c.settings),
    )
    stored = changed.scalar_one_or_none()
    return None if stored is None else settings_of(stored)


async def suspend_app(connection: AsyncConnection, app_id: str, *, suspended: bool) -> bool:
    """Suspend an app or let it go on (scenario 60); false when there is no such app."""
    at = func.coalesce(apps.c.suspended_at, func.clock_timestamp()) if suspended else None
    done = await connection.execute(update(apps).where(apps.c.id == app_id).values(suspended_at=at))
    return done.rowcount > 0


def settings_of(stored: dict[str, Any]) -> AppSettings:
    """Settings as stored; names that another version wrote are passed over."""
    return msgspec.convert(_known(stored), AppSettings)


def settings_to_tell(settings: AppSettings) -> dict[str, Any]:
    """All settings with their values, as `GET /v1/app` shows them."""
    return asdict(settings)


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name in KNOWN_SETTINGS}


APP = "a.id, a.name, a.settings::text AS settings, a.suspended_at IS NOT NULL AS suspended"

BY_KEY = f"""
SELECT k.id AS key_id, {APP} FROM api_keys k JOIN apps a ON a.id = k.app_id
WHERE k.digest = $1 AND k.revoked_at IS NULL
"""  # noqa: S608 - constants of this module

BY_KID = f"""
SELECT k.kid, k.secret, {APP} FROM signing_keys k JOIN apps a ON a.id = k.app_id
WHERE k.kid = $1 AND k.revoked_at IS NULL
"""  # noqa: S608 - constants of this module

SIGNER = f"""
SELECT k.kid, k.secret, {APP} FROM signing_keys k JOIN apps a ON a.id = k.app_id
WHERE k.app_id = $1 AND k.revoked_at IS NULL ORDER BY k.created_at DESC LIMIT 1
"""  # noqa: S608 - constants of this module

BY_ID = f"SELECT {APP} FROM apps a WHERE a.id = $1"  # noqa: S608 - constants of this module


@dataclass(slots=True)
class _Page:
    value: Any
    fresh_until: float


class AppBook:
    """What every request must know of its app, remembered for a moment.

    A changed setting or a revoked key is seen by this process at once (`forget`), by others within `fresh_s` seconds.
    Raises `StoreUnavailableError` when it must look up and PostgreSQL is away.
    """

    def __init__(self, database: Database, clock: Callable[[], float], fresh_s: float = FRESH_S) -> None:
        self._database = database
        self._clock = clock
        self._fresh_s = fresh_s
        self._pages: dict[tuple[str, str | bytes], _Page] = {}
        self._signers: dict[str, SigningKey] = {}

    async def api_key(self, key: str) -> ApiKey | None:
        """Whose key it is; `None` for one that nobody has, or that was revoked."""
        return await self._look(BY_KEY, digest_of(key), lambda row: ApiKey(row["key_id"], _app(row)))

    async def signing_key(self, kid: str) -> SigningKey | None:
        """The key that a token says it was signed with."""
        return self._note(kid, await self._look(BY_KID, kid, _signing_key))

    async def signer(self, app_id: str) -> SigningKey | None:
        """The key that new tokens of the app are signed with: its newest."""
        return await self._look(SIGNER, app_id, _signing_key)

    def known_signer(self, app_id: str) -> SigningKey | None:
        """A key of the app that was used here before, without asking anybody."""
        return self._signers.get(app_id)

    async def app(self, app_id: str) -> App | None:
        """The app of that id."""
        return await self._look(BY_ID, app_id, _app)

    def forget(self) -> None:
        """Look everything up anew: something was changed."""
        self._pages.clear()

    def _note(self, kid: str, key: SigningKey | None) -> SigningKey | None:
        if key:
            self._signers[key.app.id] = key
        else:
            self._signers = {app_id: known for app_id, known in self._signers.items() if known.kid != kid}
        return key

    async def _look(self, query: str, argument: str | bytes, read: Callable[[asyncpg.Record], T]) -> T | None:
        now = self._clock()
        page = self._pages.get((query, argument))
        if page and page.fresh_until > now:
            value: T | None = page.value
            return value
        if page:
            # One request looks up; those that come meanwhile make do with what was known.
            page.fresh_until = now + self._fresh_s
        async with self._database.hot() as driver:
            row = await driver.fetchrow(query, argument)
        value = None if row is None else read(row)
        if value is None:
            self._pages.pop((query, argument), None)  # wrong keys must not fill the book
        else:
            self._pages[query, argument] = _Page(value, now + self._fresh_s)
        return value


def _app(row: asyncpg.Record) -> App:
    return App(row["id"], row["name"], settings_of(orjson.loads(row["settings"])), row["suspended"])


def _signing_key(row: asyncpg.Record) -> SigningKey:
    return SigningKey(row["kid"], row["secret"], _app(row))
