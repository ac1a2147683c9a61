"""One worker as the service sees it: asks it, listens to it, and ends it when it fails its limits."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from service.media.birth import MediaUnavailableError, Newborn
from service.media.config import MediaConfig
from service.media.worker.control import GONE, VERSION, Channel, ChannelError
from service.media.worker.messages import (
    Beat,
    Drain,
    Fault,
    FromWorker,
    Hello,
    ReportRow,
    Request,
    Welcome,
)
from service.telemetry.logs import logger

LATE_S = 0.5
"""A check that comes later than this says that it was the service that stood still."""


class WorkerLostError(Exception):
    """The worker is gone, or did not answer in time."""


class WorkerRefusedError(Exception):
    """The worker says no."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(slots=True, frozen=True)
class Listener:
    """Who hears what a worker tells unasked; `lost` comes once, with the reason, and last.

    `beat` comes before the worker's :attr:`Handle.beat` is the new one.
    """

    report: Callable[["Handle", ReportRow], None]
    notice: Callable[["Handle", Mapping[str, Any]], None]
    lost: Callable[["Handle", str], None]
    beat: Callable[["Handle", Beat], None] = lambda _worker, _beat: None


class Handle:
    """A worker that runs. `rooms` names the calls it was given.

    `death` says in one word how it was lost: `ended`, `silent`, `memory`, `stalled` (its rooms stood still), `channel`.
    """

    def __init__(self, born: Newborn, config: MediaConfig, listener: Listener) -> None:
        self.name, self.pid = born.name, born.pid
        self.rooms: set[str] = set()
        self.death = "ended"
        self.beat: Beat | None = None
        self.welcome: Welcome | None = None
        self.ended = asyncio.Event()
        self._config = config
        self._listener: Listener | None = listener
        self._watch = born.watch
        self._ours = born.ours
        self._loop = asyncio.get_running_loop()
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._channel = Channel(self._take, self._cut)
        self._decoder = msgspec.json.Decoder(FromWorker)
        self._heard = self._due = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._log = logger("media").bind(worker=born.name, pid=born.pid)
        self._loop.add_reader(self._watch, self._exited)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._listener is not None and self._channel.open

    @property
    def load(self) -> tuple[int, int, int]:
        """What compares workers: rooms, connections, packets so far."""
        beat = self.beat
        return (len(self.rooms), beat.sessions if beat else 0, beat.forwarded if beat else 0)

    async def meet(self, born: Newborn) -> Welcome:
        """Say hello. Raises :class:`MediaUnavailableError`; the worker is ended then, as when this is cancelled.

        A worker that is to be taken over is left alone then: another service was faster, or it is of another version.
        """
        try:
            await self._loop.create_connection(lambda: self._channel, sock=born.channel)
            answer = await self._ask(Hello(next(self._ids), VERSION))
            self.welcome = msgspec.convert(answer, Welcome)
        except (OSError, WorkerLostError, WorkerRefusedError, msgspec.ValidationError) as error:
            self.kill()
            message = f"a worker did not start: {error}"
            raise MediaUnavailableError(message) from error
        except asyncio.CancelledError:
            self.kill()
            raise
        self._ours = True
        self.rooms.update(room.room for room in self.welcome.rooms)
        self._check()
        return self.welcome

    async def request(self, request: Callable[[int], Request]) -> Mapping[str, Any]:
        """What the worker answers, within the request limit. Raises the two errors above."""
        try:
            async with asyncio.timeout(self._config.request_s):
                return await self._ask(request(next(self._ids)))
        except TimeoutError:
            message = "the worker did not answer in time"
            raise WorkerLostError(message) from None
        except ChannelError as error:
            raise WorkerRefusedError(Fault("invalid_request", str(error))) from None

    async def close(self) -> None:
        """End it in order; after the close limit it is killed. Nobody is told that it is lost."""
        self._listener = None
        try:
            async with asyncio.timeout(self._config.close_s):
                with contextlib.suppress(WorkerLostError, WorkerRefusedError):
                    await self._ask(Drain(next(self._ids)))
                self._channel.close()
                await self.ended.wait()
        except TimeoutError:
            self._log.warning("a media worker does not end and is killed")
        finally:
            self.kill()
        await self.ended.wait()

    def leave(self) -> None:
        """Let it go on by itself with its rooms; the next service finds it."""
        self._let_go()
        self._channel.close()
        self._forget_process()

    def kill(self) -> None:
        """End it at once. By descriptor: never another process that got its number."""
        self._let_go()
        self._channel.close()
        if self._watch >= 0 and not self._ours:
            self._forget_process()
        elif self._watch >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._watch, signal.SIGKILL)

    async def _ask(self, request: Request) -> Mapping[str, Any]:
        if not self._channel.open:
            message = "the worker is gone"
            raise WorkerLostError(message)
        answer: asyncio.Future[Mapping[str, Any]] = self._loop.create_future()
        self._waiting[request.id] = answer
        try:
            self._channel.send(request)
            return await answer
        finally:
            del self._waiting[request.id]

    def _take(self, body: bytes) -> None:
        try:
            message = self._decoder.decode(body)
        except msgspec.DecodeError as error:
            detail = f"the worker does not make sense: {error}"
            raise ChannelError(detail) from None
        self._heard = self._loop.time()
        listener = self._listener
        if message.id is not None:
            self._settle(message.id, message)
        elif listener is None:
            return
        elif message.report is not None:
            listener.report(self, message.report)
        elif message.notice is not None:
            listener.notice(self, message.notice)
        elif message.beat is not None:
            listener.beat(self, message.beat)
            self._weigh(message.beat)

    def _settle(self, number: int, message: FromWorker) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or waiting.done():
            return
        if message.error is not None:
            waiting.set_exception(WorkerRefusedError(message.error))
        else:
            waiting.set_result(message.ok or {})

    def _weigh(self, beat: Beat) -> None:
        self.beat = beat
        if beat.rss_kb > self._config.memory_mb * 1024:
            self._lose(f"it uses {beat.rss_kb // 1024} MB, more than {self._config.memory_mb}", "memory")
        elif beat.tick_age_ms > self._config.heartbeat_s * 1000:
            self._lose(f"its rooms stand still for {beat.tick_age_ms / 1000:.1f} s", "stalled")

    def _check(self) -> None:
        """Whether it was heard lately. Looks again when the next silence would be too long."""
        now = self._loop.time()
        if now - self._due > LATE_S:
            self._heard = now  # what it said meanwhile may be unread yet
        self._due = self._heard + self._config.heartbeat_s
        if now >= self._due:
            self._lose(f"silent for {now - self._heard:.1f} s", "silent")
        elif self._listener is not None:
            self._timer = self._loop.call_at(self._due, self._check)

    def _cut(self, why: str) -> None:
        self._lose(why, "ended" if why.startswith(GONE) else "channel")

    def _lose(self, why: str, death: str) -> None:
        listener = self._listener
        self.kill()
        if listener is not None:
            self.death = death
            self._log.warning("a media worker is lost", reason=why, death=death, rooms=len(self.rooms))
            listener.lost(self, why)

    def _let_go(self) -> None:
        self._listener = None
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(WorkerLostError("the worker is gone"))

    def _exited(self) -> None:
        self._forget_process()
        self._lose("it ended", "ended")

    def _forget_process(self) -> None:
        if self._watch >= 0:
            self._loop.remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1
            with contextlib.suppress(ChildProcessError):  # it is the nursery's, or was that of an earlier service
                os.waitpid(self.pid, os.WNOHANG)
        self.ended.set()
