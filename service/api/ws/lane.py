"""Work of one socket, done one after the other; nothing runs while there is none."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from service.telemetry.logs import logger

Work = Callable[[], Awaitable[None]]


class Lane:
    """A queue with a task that lives while something is in it; `busy` holds the tasks that run."""

    __slots__ = ("_busy", "_task", "_waiting")

    def __init__(self, busy: set[asyncio.Task[None]]) -> None:
        self._busy = busy
        self._waiting: deque[Work] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether what is put in now is done at once."""
        return self._task is None

    def __len__(self) -> int:
        """How much waits."""
        return len(self._waiting) if self._waiting else 0

    def do(self, work: Work) -> None:
        """Do it after what is in the lane already."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(work)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._waiting))
            self._busy.add(self._task)
            self._task.add_done_callback(self._busy.discard)

    async def _run(self, waiting: deque[Work]) -> None:
        while waiting:
            try:
                await waiting.popleft()()
            except Exception:  # noqa: BLE001 - what comes after it must still be done
                logger("sockets").exception("a socket's work failed")
        self._waiting = self._task = None
