"""Things to fetch, each once, however often they were asked for meanwhile."""

import asyncio
from uuid import UUID

Mark = tuple[int, int]
"""How far a call has come, as somebody said: its version and its `seq`; 0 where nothing was said."""


class Wanted:
    """Calls to be read, each with the mark it must have reached."""

    def __init__(self) -> None:
        self._items: dict[UUID, Mark] = {}
        self._some = asyncio.Event()

    def add(self, call_id: UUID, version: int = 0, seq: int = 0) -> None:
        """Ask for a call; never waits."""
        known = self._items.get(call_id, (0, 0))
        self._items[call_id] = (max(version, known[0]), max(seq, known[1]))
        self._some.set()

    async def some(self) -> None:
        """Wait until there is something."""
        await self._some.wait()

    def take(self, most: int) -> dict[UUID, Mark]:
        """At most so many of them; they are yours now."""
        taken = {call_id: self._items.pop(call_id) for call_id in list(self._items)[:most]}
        if not self._items:
            self._some.clear()
        return taken
