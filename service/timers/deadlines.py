"""Deadlines on time: sleep until the next one, settle everything due, look again.

Every `poll_s` seconds the deadlines until the next look are read; those that this process writes meanwhile are heard of
at once. What another replica writes meanwhile is found by the next look, so it may be late by `poll_s` when it is that
near; no deadline of a call is.
"""

import asyncio
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from service.core.deadlines import deadline
from service.store.calls import upcoming_deadlines
from service.store.database import Database
from service.switchboard.board import Switchboard
from service.wire.feed import Told

SECOND = timedelta(seconds=1)


@dataclass(slots=True, frozen=True)
class DeadlinesConfig:
    """Times in seconds.

    `batch` calls are settled in one transaction. `gather_s` is waited after a deadline, so that those close behind go
    the same way. At most `most` deadlines are read at a look; then the next look comes earlier.
    """

    batch: int = 50
    poll_s: float = 1.0
    gather_s: float = 0.002
    most: int = 2000


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
        self._agenda: list[float] = []
        """A heap of the loop's times at which something falls due before the next look."""
        self._look_at = -inf
        self._earlier = asyncio.Event()
        self._clocks: tuple[datetime, float] | None = None
        """The database's clock and the loop's at the same moment."""

    def told(self, batch: Sequence[Told]) -> None:
        """The switchboard's listener: a deadline before the next look is noted, and may wake the sweep."""
        if self._clocks is None:
            return
        for told in batch:
            at = deadline(told.call)
            if at is not None and (wake_at := self._loop_time(at, self._clocks)) < self._look_at:
                heapq.heappush(self._agenda, wake_at)
                if self._agenda[0] == wake_at:
                    self._earlier.set()

    async def run(self) -> None:
        """Sweep for ever. Raises `StoreUnavailableError`."""
        loop = asyncio.get_running_loop()
        self._look_at = -inf
        while True:
            if loop.time() >= self._look_at:
                await self._look()
            if self._agenda and loop.time() >= self._agenda[0]:
                await self._settle()
            await self._rest()

    async def run_once(self) -> int:
        """Settle everything that is due; returns how many calls that were. Raises `StoreUnavailableError`."""
        await self._look()
        return await self._settle()

    async def _look(self) -> None:
        """Read the deadlines until the next look."""
        config, loop = self._config, asyncio.get_running_loop()
        # From here on `told` notes what the statement may not see any more.
        self._agenda, self._look_at = [], loop.time() + config.poll_s
        async with self._database.hot() as driver:
            now, upcoming = await upcoming_deadlines(driver, config.poll_s, config.most)
        clocks = self._clocks = (now, loop.time())
        self._agenda += (self._loop_time(at, clocks) for at in upcoming)
        heapq.heapify(self._agenda)
        if len(upcoming) == config.most:
            self._look_at = self._loop_time(upcoming[-1], clocks)

    async def _settle(self) -> int:
        """Rounds until nothing is due that nobody else is settling."""
        loop, settled = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            lateness = await self._switchboard.settle_due(self._config.batch)
            for seconds in lateness:
                self._late(seconds)
            settled += len(lateness)
            if len(lateness) < self._config.batch:
                while self._agenda and self._agenda[0] <= began:
                    heapq.heappop(self._agenda)
                return settled
            await asyncio.sleep(0)

    def _loop_time(self, at: datetime, clocks: tuple[datetime, float]) -> float:
        clock, loop_time = clocks
        return loop_time + (at - clock) / SECOND + self._config.gather_s

    async def _rest(self) -> None:
        """Wait for the next deadline, one that comes before it, or the next look."""
        loop = asyncio.get_running_loop()
        while (delay := min([self._look_at, *self._agenda[:1]]) - loop.time()) > 0:
            self._earlier.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._earlier.wait()
            except TimeoutError:
                return
