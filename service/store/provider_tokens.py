"""Apple's provider tokens, shared by all replicas and by all apps that have the same key.

Apple wants a key's token renewed after 20 minutes at the earliest (sooner: 429 TooManyProviderTokenUpdates) and within
60, so nobody must make one of their own. Whoever needs one first makes it; a new one is written only in place of the
one that was read before (a guarded UPDATE), and whoever comes second reads again and finds the first one's.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database
from service.store.tables import provider_tokens as table
from service.wire.apple import key_digest, provider_token
from service.wire.credentials import ApnsCredentials
from service.wire.sealing import UnsealedError, Vault

RENEWED_AFTER = timedelta(minutes=40)
SOONEST = timedelta(minutes=20)
SKEW = timedelta(minutes=5)
"""A token from further in the future was made by a clock that was wrong."""
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(slots=True, frozen=True)
class ProviderToken:
    """A token, and when it was made. `early`: in place of one that was refused before its time."""

    text: str = field(repr=False)
    issued_at: datetime
    early: bool = False


@dataclass(slots=True)
class _Page:
    """What this process knows of one key's token. Who holds the lock looks it up for all."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: ProviderToken | None = None


class ProviderTokens:
    """The current tokens, by key.

    Raises ValueError for a key that is none, and `StoreUnavailableError` when it must look and PostgreSQL is away.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._pages: dict[bytes, _Page] = {}

    async def current(self, credentials: ApnsCredentials, now: datetime) -> ProviderToken:
        """The token to show."""
        page = self._page(credentials)
        async with page.lock:
            if page.token is None or not _good(page.token, now):
                page.token = await self._shared(credentials, now, None)
            return page.token

    async def instead_of(
        self, refused: ProviderToken, credentials: ApnsCredentials, now: datetime
    ) -> ProviderToken | None:
        """Another token than one that Apple called expired: that of whoever heard so before, or a new one.

        `None` when the refused one was itself made in place of one that was refused too soon: then somebody's clock is
        wrong, and more new tokens would only be too many.
        """
        page = self._page(credentials)
        async with page.lock:
            if page.token is None or page.token.text == refused.text:
                page.token = await self._shared(credentials, now, refused)
            return page.token if page.token.text != refused.text else None

    def _page(self, credentials: ApnsCredentials) -> _Page:
        return self._pages.setdefault(key_digest(credentials), _Page())

    async def _shared(
        self, credentials: ApnsCredentials, now: datetime, refused: ProviderToken | None
    ) -> ProviderToken:
        """The database's token; a new one where there is no good one."""
        key = key_digest(credentials)
        async with self._database.begin() as connection:
            while True:
                row = (await connection.execute(select(table).where(table.c.key == key))).one_or_none()
                text = self._opened(row.sealed) if row else None
                kept = ProviderToken(text, row.issued_at, row.early) if row and text else None
                if kept and not _spent(kept, refused, now):
                    return kept
                early = kept is not None and refused is not None and now - kept.issued_at < SOONEST
                made = ProviderToken(provider_token(credentials, now), now, early)
                if await self._write(connection, key, row.sealed if row else None, made):
                    return made

    def _opened(self, sealed: bytes) -> str | None:
        try:
            return self._vault.open(sealed).decode()
        except UnsealedError:
            return None

    async def _write(self, connection: AsyncConnection, key: bytes, seen: bytes | None, made: ProviderToken) -> bool:
        """Keep a token in place of the one that was seen; false when somebody was faster."""
        said = {"sealed": self._vault.seal(made.text.encode()), "issued_at": made.issued_at, "early": made.early}
        put = insert(table).values(key=key, **said)
        if seen is None:
            put = put.on_conflict_do_nothing()
        else:
            put = put.on_conflict_do_update(index_elements=[table.c.key], set_=said, where=table.c.sealed == seen)
        if (await connection.execute(put)).rowcount == 0:
            return False
        old = select(table.c.key).where(table.c.issued_at < made.issued_at - FORGOTTEN_AFTER)
        await connection.execute(delete(table).where(table.c.key.in_(old.with_for_update(skip_locked=True))))
        return True


def _good(token: ProviderToken, now: datetime) -> bool:
    return -SKEW <= now - token.issued_at < RENEWED_AFTER


def _spent(kept: ProviderToken, refused: ProviderToken | None, now: datetime) -> bool:
    """Whether another one is due: by its age, or because Apple refused this one and a new one may help."""
    if refused is None or kept.text != refused.text:
        return not _good(kept, now)
    return not kept.early or now - kept.issued_at >= SOONEST
