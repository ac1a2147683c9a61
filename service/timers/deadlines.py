"""Deadlines on time: sleep until the next one, settle everything due, look again.

Deadlines that this process writes are heard of at once; those of other replicas are found by a look every `poll_s`
seconds, which is enough because no deadline is nearer than that when it is written.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from service.core.deadlines import deadline
from service.store.calls import next_deadline
from service.store.database import Database
from service.switchboard.board import Switchboard
from service.wire.feed import Told


@dataclass(slots=True, frozen=True)
class DeadlinesConfig:
    """Times in seconds.

    `batch` calls are settled in one transaction. `gather_s` is waited after a deadline, so that those close behind go
    the same way. `held_s` is waited for calls that another replica is settling.
    """

    batch: int = 50
    poll_s: float = 1.0
    gather_s: float = 0.002
    held_s: float = 0.02


class Deadlines:
    """The sweep of one replica. `told` is a listener of the switchboard; `late` hears how late each call was (s)."""

    def __init__(
        self,
        database: Database,
        switchboard: Switchboard,
        late: Callable[[float], None] = lambda _seconds: None,
        config: DeadlinesConfig | None = None,
    ) -> None:
        self._database = database
        self._switchboard = switchboard
        self._late = late
        self._config = config or DeadlinesConfig()
        self._wake_at = inf
        self._earlier = asyncio.Event()
        self._seen: tuple[datetime, float] | None = None
        """The database's clock and the loop's at the same moment."""

    def told(self, batch: Sequence[Told]) -> None:
        """The switchboard's listener: a deadline nearer than the one slept for wakes the sweep."""
        if self._seen is None:
            return
        nearest = min((at for told in batch if (at := deadline(told.call))), default=None)
        if nearest and (wake_at := self._loop_time(nearest, self._seen)) < self._wake_at:
            self._wake_at = wake_at
            self._earlier.set()

    async def run(self) -> None:
        """Sweep for ever. Raises `StoreUnavailableError`."""
        while True:
            await self.run_once()
            await self._rest()

    async def run_once(self) -> int:
        """Settle what is due, in rounds until nothing is; returns how many calls that were.

        Raises `StoreUnavailableError`.
        """
        settled = 0
        while True:
            lateness = await self._switchboard.settle_due(self._config.batch)
            for seconds in lateness:
                self._late(seconds)
            settled += len(lateness)
            if len(lateness) < self._config.batch and not await self._due_now():
                return settled
            await asyncio.sleep(0 if lateness else self._config.held_s)

    async def _due_now(self) -> bool:
        """Note the next deadline; true when it has passed already."""
        self._wake_at = inf  # what is told from here on counts, what the statement sees counts too
        async with self._database.hot() as driver:
            at, now = await next_deadline(driver)
        self._seen = (now, asyncio.get_running_loop().time())
        if at is None:
            return False
        self._wake_at = min(self._wake_at, self._loop_time(at, self._seen))
        return at <= now

    def _loop_time(self, at: datetime, seen: tuple[datetime, float]) -> float:
        clock, loop_time = seen
        return loop_time + (at - clock) / timedelta(seconds=1) + self._config.gather_s

    async def _rest(self) -> None:
        """Wait for the next deadline, one that comes before it, or the next look at the database."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._config.poll_s
        while (delay := min(look_at, self._wake_at) - loop.time()) > 0:
            self._earlier.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._earlier.wait()
            except TimeoutError:
                return
