"""The way to PostgreSQL: a pool, hot statements on the driver's own connection, and what a fault means."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


@dataclass(slots=True, frozen=True)
class DatabaseConfig:
    """Where the database is and how many connections one process may hold. Times in seconds.

    `listen_url` is a direct address for LISTEN when `url` goes through a pooler in transaction mode.
    """

    url: str
    listen_url: str | None = None
    pool_size: int = 16
    cold_pool_size: int = 6
    pool_timeout_s: float = 2.0
    command_timeout_s: float = 10.0
    connect_timeout_s: float = 2.0


class StoreUnavailableError(Exception):
    """PostgreSQL is away, starting, or takes no connection now. Whether the last statement committed is unknown."""


class ConflictError(Exception):
    """Somebody else changed the same rows first; read again and decide again."""


Pooled = asyncpg.pool.PoolConnectionProxy
Driver = asyncpg.Connection
"""The driver's own connection: hot statements are prepared once on it and run in autocommit."""
Connection = AsyncConnection
"""A connection inside a transaction, for everything else."""

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server said good-bye just as the driver was about to speak
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    PoolTimeoutError,
    OSError,
    TimeoutError,
)
HOT_SETTINGS = MappingProxyType({"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"})
"""Hot statements are planned once and by their indexes, whatever the statistics say: a fifth of PostgreSQL's CPU of a
command was planning. tests/store/test_plans.py reads those very plans."""
LOST_RACE = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)


@contextmanager
def faults() -> Iterator[None]:
    """Turn the driver's errors into the two the rest of the house knows.

    Raises :class:`StoreUnavailableError` and :class:`ConflictError`; anything else is a bug and passes through.
    """
    try:
        yield
    except LOST_RACE as error:
        raise ConflictError(str(error)) from error
    except AWAY as error:
        raise StoreUnavailableError(str(error) or type(error).__name__) from error
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        if isinstance(cause, LOST_RACE):
            raise ConflictError(str(cause)) from error
        if error.connection_invalidated or isinstance(cause, AWAY):
            raise StoreUnavailableError(str(cause or error)) from error
        raise


class Database:
    """One process's two pools: the driver's own for hot statements, SQLAlchemy's for everything else.

    SQLAlchemy's checkout passes through four greenlet switches, a fifth of the CPU of a whole command; the driver's
    own pool does not (measured with cProfile on 1,600 commands).
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        settings = {"application_name": "hookswitch", "jit": "off"}
        self._engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(config.url),
            pool_size=config.cold_pool_size,
            max_overflow=0,
            pool_timeout=config.pool_timeout_s,
            connect_args={
                "timeout": config.connect_timeout_s,
                "command_timeout": config.command_timeout_s,
                "server_settings": settings,
            },
        )
        self._pool: asyncpg.Pool = asyncpg.create_pool(
            driver_dsn(config.url),
            min_size=0,
            max_size=config.pool_size,
            max_queries=2**31,
            max_inactive_connection_lifetime=0,
            # Hot statements leave nothing behind on a connection, so there is nothing to reset.
            reset=_leave_as_it_is,
            timeout=config.connect_timeout_s,
            command_timeout=config.command_timeout_s,
            server_settings=settings | HOT_SETTINGS,
        )
        self._opened = False
        self._kept: list[Pooled] = []
        self._waiting = 0

    @asynccontextmanager
    async def hot(self) -> AsyncIterator[Driver]:
        """A driver's connection outside any transaction: each statement commits by itself.

        Where nobody waits for one it is kept at hand and not given back: the driver's pool makes a task for each.
        """
        with faults():
            driver = await self._at_hand() or await self._acquired()
            try:
                yield cast("Driver", driver)
            except BaseException:
                await self._pool.release(driver)  # which sees to a statement that was given up
                raise
            if self._waiting or not _lives(driver):
                await self._pool.release(driver)
            else:
                self._kept.append(driver)

    async def _at_hand(self) -> Pooled | None:
        """One that lives, of those that nobody uses."""
        while self._kept:
            driver = self._kept.pop()
            if _lives(driver):
                return driver
            await self._pool.release(driver)
        return None

    async def _acquired(self) -> Pooled:
        if not self._opened:
            self._opened = bool(await self._pool)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=self.config.pool_timeout_s)
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back on any error."""
        with faults():
            connection = await self._live_connection()
            try:
                async with connection.begin():
                    yield connection
            finally:
                await connection.close()

    async def _live_connection(self) -> AsyncConnection:
        """A pooled connection whose socket is not known to be dead; costs no round trip."""
        while True:
            connection = await self._engine.connect()
            raw = await connection.get_raw_connection()
            if not cast("Driver", raw.driver_connection).is_closed():
                return connection
            await connection.invalidate()
            await connection.close()

    async def answers(self) -> bool:
        """Whether PostgreSQL answers. Raises :class:`StoreUnavailableError` where it does not."""
        async with self.hot() as driver:
            return bool(await driver.fetchval("SELECT true"))

    def connections(self) -> tuple[int, int]:
        """How many connections for hot statements are in use, and how many wait to be used."""
        if not self._opened:
            return 0, 0
        idle = self._pool.get_idle_size() + len(self._kept)
        return self._pool.get_size() - idle, idle

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
        if self._opened:
            self._pool.terminate()


def _lives(driver: Pooled) -> bool:
    try:
        return not driver.is_closed()
    except asyncpg.InterfaceError:  # it ended while nobody used it
        return False


async def _leave_as_it_is(_driver: Driver) -> None:
    """Between two hot statements there is nothing to clean up."""


def driver_dsn(url: str) -> str:
    """The address as the driver itself takes it, without SQLAlchemy's driver name."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def sqlalchemy_url(url: str) -> str:
    """Any usual PostgreSQL address with SQLAlchemy's driver name."""
    scheme, _, rest = url.partition("://")
    if scheme in {"postgres", "postgresql", "postgresql+asyncpg"}:
        return f"postgresql+asyncpg://{rest}"
    message = f"not a PostgreSQL address: {scheme}://…"
    raise ValueError(message)
