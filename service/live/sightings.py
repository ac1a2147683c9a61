"""Presence that other replicas told of: read from the database for the sockets here that hear of it."""

import asyncio
from uuid import UUID

from service.live.watchers import Sighting, Watchers
from service.store.apps import AppBook
from service.store.database import Database
from service.store.presence_feed import Last, last_of

MOST = 500
"""Users read in one statement."""


class Sightings:
    """One process's reader. Only the newest of each user is read: what is outdated by then nobody here hears."""

    def __init__(self, database: Database, book: AppBook, watchers: Watchers) -> None:
        self._database = database
        self._book = book
        self._watchers = watchers
        self._wanted: dict[UUID, int] = {}
        self._some = asyncio.Event()

    def heard_of(self, stream: UUID, seq: int) -> None:
        """Another replica has told that user's event of that number; never waits."""
        if self._watchers.concerned(stream, seq):
            self._wanted[stream] = max(seq, self._wanted.get(stream, 0))
            self._some.set()

    async def run(self) -> None:
        """Read whenever something is wanted. Raises `StoreUnavailableError`; what was wanted stays wanted."""
        while True:
            await self._some.wait()
            await self.run_once()

    async def run_once(self) -> None:
        """Read what is wanted now. Raises `StoreUnavailableError`."""
        stale = [(stream, seq) for stream, seq in self._wanted.items() if self._watchers.concerned(stream, seq)]
        taken = dict(stale[:MOST])
        if taken:
            async with self._database.hot() as driver:
                found = await last_of(driver, list(taken))
            self._watchers.tell([await self._sighting(last) for last in found])
        self._wanted = {
            stream: seq
            for stream, seq in self._wanted.items()
            if seq > taken.get(stream, 0) and self._watchers.concerned(stream, seq)
        }
        if not self._wanted:
            self._some.clear()

    async def _sighting(self, last: Last) -> Sighting:
        app = await self._book.app(last.app_id)
        visible_to = app.settings.busy_with_visible_to if app else "backend"
        return Sighting(last.stream, last.seq, last.text, visible_to)
