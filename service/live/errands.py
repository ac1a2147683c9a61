"""Calls whose media must be looked after: noted by whoever hears of them, seen to by the media control."""

import asyncio
from uuid import UUID

from service.core.calls import Call


class Errands:
    """Each call once, as it was seen last (`None`: to be read); and whether the database must be looked through."""

    def __init__(self) -> None:
        self._calls: dict[UUID, Call | None] = {}
        self._look = False
        self._some = asyncio.Event()

    def call(self, call: Call) -> None:
        """A call changed; `call` is as it was committed here."""
        call_id = UUID(call.id)
        known = self._calls.get(call_id)
        if known is None or known.version <= call.version:
            self._calls[call_id] = call
        self._some.set()

    def read(self, call_id: UUID) -> None:
        """A call changed; how, only the database knows."""
        self._calls[call_id] = None
        self._some.set()

    def look(self) -> None:
        """Somewhere a call wants a media worker."""
        self._look = True
        self._some.set()

    async def some(self) -> None:
        """Wait until there is something."""
        await self._some.wait()

    def take(self) -> tuple[dict[UUID, Call | None], bool]:
        """Everything; it is yours now."""
        self._some.clear()
        calls, self._calls = self._calls, {}
        look, self._look = self._look, False
        return calls, look
