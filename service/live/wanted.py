"""Things to fetch, each once, however often they were asked for meanwhile."""

import asyncio
from uuid import UUID


class Wanted:
    """Call ids with the version that was heard of (0: whatever is there)."""

    def __init__(self) -> None:
        self._items: dict[UUID, int] = {}
        self._some = asyncio.Event()

    def add(self, call_id: UUID, version: int) -> None:
        """Ask for a call; never waits."""
        self._items[call_id] = max(version, self._items.get(call_id, 0))
        self._some.set()

    async def some(self) -> None:
        """Wait until there is something."""
        await self._some.wait()

    def take(self, most: int) -> dict[UUID, int]:
        """At most so many of them; they are yours now."""
        taken = {call_id: self._items.pop(call_id) for call_id in list(self._items)[:most]}
        if not self._items:
            self._some.clear()
        return taken
