"""Since when a user's tokens are valid: what was issued before is revoked."""

from collections.abc import Callable
from datetime import datetime

from service.store.database import Database

LARGEST = 50_000

VALID_FROM = "SELECT tokens_valid_from FROM users WHERE app_id = $1 AND id = $2"


class RevocationBook:
    """Looked up at most once per user and `fresh_s` seconds.

    A revocation made by this process is seen at once (`forget`), by others within `fresh_s`. Raises
    `StoreUnavailableError` when it must look up and PostgreSQL is away.
    """

    def __init__(self, database: Database, clock: Callable[[], float], fresh_s: float = 2.0) -> None:
        self._database = database
        self._clock = clock
        self._fresh_s = fresh_s
        self._pages: dict[tuple[str, str], tuple[float | None, float]] = {}

    async def valid_from(self, app_id: str, user_id: str) -> float | None:
        """Seconds since the epoch; `None` when nothing was ever revoked."""
        now = self._clock()
        page = self._pages.get((app_id, user_id))
        if page and page[1] > now:
            return page[0]
        async with self._database.hot() as driver:
            at: datetime | None = await driver.fetchval(VALID_FROM, app_id, user_id)
        if len(self._pages) >= LARGEST:
            self._pages.clear()
        valid_from = at.timestamp() if at else None
        self._pages[app_id, user_id] = (valid_from, now + self._fresh_s)
        return valid_from

    def forget(self, app_id: str, user_id: str) -> None:
        """Look this user up anew: something was revoked."""
        self._pages.pop((app_id, user_id), None)
