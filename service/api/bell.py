"""The bell of the pull feed: whoever waits for an app's next event is woken by the process that commits it.

Only a wake-up: events of other replicas, and those that are not told by the switchboard, are found by looking again.
"""

import asyncio
from collections.abc import Sequence

from service.wire.feed import Told


class Bell:
    """A listener of the switchboard; waiters come and go."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}
        self.closed = False

    def ring(self, batch: Sequence[Told]) -> None:
        """Called with every commit of this process."""
        if self._waiting:
            for told in batch:
                if told.envelopes:
                    self.ring_for(told.call.app_id)

    def ring_for(self, app_id: str) -> None:
        """Something was told in that app."""
        if event := self._waiting.pop(app_id, None):
            event.set()

    def close(self) -> None:
        """The process is stopping: nobody waits any more."""
        self.closed = True
        for event in self._waiting.values():
            event.set()

    def listen(self, app_id: str) -> asyncio.Event:
        """What is set at the app's next event. Ask before looking, so that nothing falls in between."""
        return self._waiting.setdefault(app_id, asyncio.Event())

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Until the event, or as long as that."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
