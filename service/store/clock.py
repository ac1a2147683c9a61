"""The database's clock, as far as this process can tell between two looks at it (scenario 58)."""

from collections.abc import Callable
from datetime import UTC, datetime

from service.store.database import Database

SECONDS = "SELECT extract(epoch FROM clock_timestamp())::float8"


class DatabaseClock:
    """Seconds since the epoch by the database, so that `server_time` fits the deadlines beside it on every replica.

    `local` is this process's own clock. Until the first look, and while the database is away, the last known difference
    stands.
    """

    def __init__(self, database: Database, local: Callable[[], float]) -> None:
        self._database = database
        self._local = local
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """Now, in seconds since the epoch."""
        return self._local() + self.ahead_s

    def utc(self) -> datetime:
        """Now, in UTC."""
        return datetime.fromtimestamp(self(), UTC)

    async def run_once(self) -> None:
        """Look at the database's clock. Raises `StoreUnavailableError`."""
        async with self._database.hot() as driver:
            asked = self._local()
            told: float = await driver.fetchval(SECONDS)
            answered = self._local()
        self.ahead_s = told - (asked + answered) / 2
