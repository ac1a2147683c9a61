"""Forgetting in small batches what has served its time. Calls themselves stay."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from service.store.database import Database, Driver
from service.store.quality import prune_quality
from service.store.retention import Pruned, prune_alerts, prune_deliveries, prune_events, prune_keys, prune_sources


@dataclass(slots=True, frozen=True)
class RetentionConfig:
    """How long what is kept; `deliveries`: those to webhooks, and alerts."""

    events: timedelta = timedelta(days=90)
    deliveries: timedelta = timedelta(days=30)
    quality: timedelta = timedelta(days=30)
    idempotency_keys: timedelta = timedelta(hours=24)
    batch: int = 1000


class Retention:
    """Prunes when told to; several replicas may do it at once."""

    def __init__(self, database: Database, config: RetentionConfig | None = None) -> None:
        self._database = database
        self._config = config or RetentionConfig()

    async def run_once(self) -> int:
        """Forget everything that is old enough; returns how many rows went. Raises `StoreUnavailableError`."""
        config, batch = self._config, self._config.batch
        # Deliveries first: a pending one keeps its event.
        rows = await self._march(lambda driver, mark: prune_deliveries(driver, mark, config.deliveries, batch))
        rows += await self._march(lambda driver, mark: prune_events(driver, mark, config.events, batch))
        rows += await self._repeat(lambda driver: prune_alerts(driver, config.deliveries, batch))
        rows += await self._repeat(lambda driver: prune_quality(driver, config.quality, batch))
        rows += await self._repeat(lambda driver: prune_keys(driver, config.idempotency_keys, batch))
        async with self._database.hot() as driver:
            return rows + await prune_sources(driver)

    async def _repeat(self, prune: Callable[[Driver], Awaitable[int]]) -> int:
        """Batch after batch, until one is not full."""
        rows = 0
        while True:
            async with self._database.hot() as driver:
                pruned = await prune(driver)
            rows += pruned
            if pruned < self._config.batch:
                return rows

    async def _march(self, prune: Callable[[Driver, int], Awaitable[Pruned]]) -> int:
        """From the oldest on; a connection is held for one batch at a time."""
        rows, mark = 0, 0
        while True:
            async with self._database.hot() as driver:
                pruned = await prune(driver, mark)
            rows += pruned.rows
            if pruned.mark is None:
                return rows
            mark = pruned.mark
