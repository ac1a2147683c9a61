"""The one way to keep something running: restarted with back-off when it fails, ended cleanly at shutdown."""

import asyncio
from collections.abc import Awaitable, Callable

from service.telemetry.logs import logger

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_S = 30.0
"""Who ran this long before failing starts again with the shortest pause."""


class Supervisor:
    """Runs named tasks until `stop`.

    `troubles` are exceptions that need no traceback (the database is away), and of which one that goes on is told once,
    then at level debug; `restarted` hears the name of a task that
    is started again; `pause` waits that many seconds.
    """

    def __init__(
        self,
        troubles: tuple[type[Exception], ...] = (),
        restarted: Callable[[str], None] = lambda _name: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._troubles = troubles
        self._restarted = restarted
        self._pause = pause
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._log = logger("tasks")

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it now, and again whenever it fails; whoever returns is done. A name is used once."""
        if name in self._tasks:
            message = f"there is a task {name} already"
            raise ValueError(message)
        self._tasks[name] = asyncio.create_task(self._keep(name, run), name=name)

    async def stop(self) -> None:
        """Cancel all and wait until the last one has cleaned up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                if not task.cancelled():
                    raise  # it is we who are cancelled
        self._tasks.clear()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        pause, told = FIRST_PAUSE_S, ""
        while True:
            began = loop.time()
            try:
                await run()
                return
            except self._troubles as trouble:
                tell = self._log.debug if str(trouble) == told else self._log.warning
                tell("task waits and starts again", task=name, error=str(trouble))
                told = str(trouble)
            except Exception:  # noqa: BLE001 - whatever it was, the task must run
                self._log.exception("task failed and starts again", task=name)
            if loop.time() - began > STEADY_S:
                pause, told = FIRST_PAUSE_S, ""
            self._restarted(name)
            await self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
