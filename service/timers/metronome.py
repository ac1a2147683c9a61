"""The metronome: APScheduler ticks what is due every so many seconds. What was missed is not made up for."""

import asyncio
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from service.store.database import StoreUnavailableError
from service.telemetry.logs import logger


class Metronome:
    """Runs jobs at intervals, each job one at a time; a failing one is logged and runs again at the next tick."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._log = logger("timers")
        self._running: set[asyncio.Task[object]] = set()

    def every(self, seconds: float, name: str, job: Callable[[], Awaitable[object]], *, jitter_s: float = 0) -> None:
        """Run `job` every so many seconds from `start` on; the first time after one interval."""
        self._scheduler.add_job(
            self._guarded,
            "interval",
            args=(name, job),
            id=name,
            seconds=seconds,
            jitter=jitter_s or None,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    async def stop(self) -> None:
        """No more ticks; jobs under way are cancelled and waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _guarded(self, name: str, job: Callable[[], Awaitable[object]]) -> None:
        task = asyncio.current_task()
        if task:
            self._running.add(task)
        try:
            await job()
        except StoreUnavailableError as error:
            self._log.warning("not done, the database is away", job=name, error=str(error))
        except Exception:  # noqa: BLE001 - the next tick must come
            self._log.exception("job failed", job=name)
        finally:
            if task:
                self._running.discard(task)
