"""Filling gaps: calls that somebody here waits for are read from the database, many at once, each once."""

import asyncio
from uuid import UUID

from service.live.hub import Hub
from service.live.wanted import Mark
from service.store.database import Database
from service.store.hearing import missing

MOST = 200
"""Calls read in one statement."""
GRACE_S = 0.005
"""Turns of one process may pass each other on the way to the hub; most gaps close by themselves at once."""


class CatchUp:
    """Reads what the hub wants. One runs in each process that has sockets."""

    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    async def run(self) -> None:
        """Read whenever something is wanted. Raises `StoreUnavailableError`; what was wanted stays wanted."""
        while True:
            await self._hub.wanted.some()
            await asyncio.sleep(GRACE_S)
            await self.run_once()

    async def run_once(self) -> None:
        """Read what is wanted now, as far as it is still missing. Raises `StoreUnavailableError`."""
        wanted = self._hub.wanted.take(MOST)
        stands = {
            call_id: after
            for call_id, mark in wanted.items()
            if (after := self._hub.behind(str(call_id), *mark)) is not None
        }
        if not stands:
            return
        try:
            async with self._database.hot() as driver:
                found = await missing(driver, stands)
        except BaseException:
            self._want_again(wanted)
            raise
        for heard in found:
            self._hub.caught_up(heard)

    def _want_again(self, wanted: dict[UUID, Mark]) -> None:
        for call_id, mark in wanted.items():
            self._hub.wanted.add(call_id, *mark)
