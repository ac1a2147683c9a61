"""Calls whose media must be looked after: noted by whoever hears of them, seen to by the media control."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from service.core.calls import Call


@dataclass(slots=True, frozen=True)
class Errand:
    """A call to look after. `told` is the newest turn that was committed here, if any: its host must hear of it.

    `read`: there may be newer ones than that, which only the database knows.
    """

    told: Call | None = None
    read: bool = False


class Errands:
    """Each call once; and whether the database must be looked through."""

    def __init__(self) -> None:
        self._calls: dict[UUID, Errand] = {}
        self._look = False
        self._some = asyncio.Event()

    def call(self, call: Call) -> None:
        """A call changed; `call` is as it was committed here."""
        self._note(UUID(call.id), Errand(told=call))

    def read(self, call_id: UUID, told: Call | None = None) -> None:
        """A call changed; how, only the database knows. `told`: a turn of it that nobody has seen to yet."""
        self._note(call_id, Errand(told, read=True))

    def look(self) -> None:
        """Somewhere a call wants a media worker."""
        self._look = True
        self._some.set()

    async def some(self) -> None:
        """Wait until there is something."""
        await self._some.wait()

    def take_look(self) -> bool:
        """Whether the database must be looked through; that is yours now."""
        look, self._look = self._look, False
        return look

    def take(self) -> dict[UUID, Errand]:
        """All calls; they are yours now."""
        self._some.clear()
        calls, self._calls = self._calls, {}
        return calls

    def _note(self, call_id: UUID, errand: Errand) -> None:
        known = self._calls.get(call_id, errand)
        told = max((one.told for one in (known, errand) if one.told), key=lambda call: call.version, default=None)
        self._calls[call_id] = Errand(told, read=known.read or errand.read)
        self._some.set()
