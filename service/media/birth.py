"""Where workers come from: the nursery forks them in milliseconds; without it each is started from scratch."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

import service
from service.media.worker.messages import Fork, Forked, Setup
from service.telemetry.logs import logger

NURSERY = "service.media.worker.nursery"
WORKER = "service.media.worker.main"
LONGEST_WORD = 64 * 1024
FORK_S = 1.0
"""A nursery that has not forked by then is stuck."""
IMPORT_S = 3.0
"""As long may it take to begin."""
FAREWELL_S = 2.0
CHANNEL = 3
"""Where a process that was started finds its socket."""


class MediaUnavailableError(Exception):
    """No worker can be had; the message says why."""


class NurseryEndedError(Exception):
    """The nursery is gone."""


@dataclass(slots=True, frozen=True)
class Newborn:
    """A process, a descriptor of it (pidfd) and our end of its channel, both owned by whoever gets this.

    `ours`: we have started it, so that it ends when it does not answer.
    """

    name: str
    pid: int
    watch: int
    channel: socket.socket
    ours: bool = True


Begin = Callable[[Setup, socket.socket], Awaitable[tuple[int, int]]]


class Birth:
    """Starts workers. :meth:`run` keeps the nursery for one life of it; whoever supervises that runs it again."""

    def __init__(self) -> None:
        self._nursery: socket.socket | None = None
        self._pid, self._watch = 0, -1
        self._asked: dict[str, asyncio.Future[tuple[int, int]]] = {}
        self._given_up: set[str] = set()
        self._ended = asyncio.Event()
        self._log = logger("media")
        self.ready = asyncio.Event()

    @property
    def nursery_pid(self) -> int | None:
        """The process id of the nursery, while there is one."""
        return self._pid or None

    async def start(self, setup: Setup) -> Newborn:
        """A worker with this setup. Raises :class:`MediaUnavailableError`."""
        try:
            if self._nursery is not None:
                with contextlib.suppress(NurseryEndedError):
                    return await self._through_channel(setup, self._fork)
            # A channel of its own: the nursery may still fork for the other one, which has ended then.
            return await self._through_channel(setup, _cold)
        except OSError as error:
            message = f"no worker could be started: {error}"
            raise MediaUnavailableError(message) from error

    @staticmethod
    async def _through_channel(setup: Setup, begin: Begin) -> Newborn:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                pid, watch = await begin(setup, theirs)
        except BaseException:
            ours.close()
            raise
        return Newborn(setup.worker, pid, watch, ours)

    def give_up(self, worker: str) -> None:
        """Whoever started this worker says why it is not wanted; its end needs no line of its own."""
        if self._nursery is not None:
            self._given_up.add(worker)

    async def run(self) -> None:
        """Start a nursery and listen to it until it ends; then raises :class:`NurseryEndedError`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        self._ended.clear()
        try:
            with theirs:
                self._pid, self._watch = spawn(NURSERY, theirs)
            self._nursery = ours
            loop.add_reader(ours.fileno(), self._hear, ours)
            await self._ended.wait()
        finally:
            self._nursery = None
            self._given_up.clear()
            self.ready.clear()
            loop.remove_reader(ours.fileno())
            ours.close()
            self._give_up_waiting()
            await self._bury()
        message = "the nursery of the media workers has ended"
        raise NurseryEndedError(message)

    async def _fork(self, setup: Setup, channel: socket.socket) -> tuple[int, int]:
        """Pid and pidfd of a forked worker. Raises :class:`NurseryEndedError` when the nursery cannot do it."""
        ready = self.ready.is_set()
        answer: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._asked[setup.worker] = answer
        try:
            if self._nursery is not None:
                socket.send_fds(self._nursery, [msgspec.json.encode(Fork(setup))], [channel.fileno()])
            async with asyncio.timeout(FORK_S if ready else IMPORT_S):
                return await answer
        except OSError as error:
            late = isinstance(error, TimeoutError)
            self._log.warning("no worker was forked", error="the nursery is silent" if late else str(error))
            if late and ready:
                self._kill()
            raise NurseryEndedError from error
        finally:
            self._asked.pop(setup.worker, None)

    def _hear(self, nursery: socket.socket) -> None:
        try:
            text, descriptors, _, _ = socket.recv_fds(nursery, LONGEST_WORD, 1)
        except BlockingIOError:
            return
        except OSError:
            text, descriptors = b"", []
        if not text:
            asyncio.get_running_loop().remove_reader(nursery.fileno())
            self._ended.set()
            return
        self._take(msgspec.json.decode(text, type=Forked), descriptors)

    def _take(self, word: Forked, descriptors: list[int]) -> None:
        if word.ready:
            self.ready.set()
        elif word.status is not None:
            tell = self._log.debug if word.worker in self._given_up else self._log.info
            self._given_up.discard(word.worker)
            tell("a media worker has ended", worker=word.worker, pid=word.pid, status=word.status)
        else:
            answer = self._asked.get(word.worker)
            if answer is None or answer.done():
                for descriptor in descriptors:  # nobody waits any more; the worker ends with its channel
                    os.close(descriptor)
            elif word.failed or not descriptors:
                answer.set_exception(OSError(word.failed or "the nursery sent no descriptor"))
            else:
                answer.set_result((word.pid, descriptors[0]))

    def _give_up_waiting(self) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(NurseryEndedError("the nursery has ended"))

    def _kill(self) -> None:
        if self._watch >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._watch, signal.SIGKILL)

    async def _bury(self) -> None:
        """Wait for the nursery, which ends with its socket; a stuck one is killed."""
        if self._watch < 0:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._watch, gone.set)
        try:
            async with asyncio.timeout(FAREWELL_S):
                await gone.wait()
        except TimeoutError:
            self._kill()
            await gone.wait()
        finally:
            loop.remove_reader(self._watch)
            os.close(self._watch)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, os.WNOHANG)  # noqa: ASYNC222 - WNOHANG does not wait
            self._pid, self._watch = 0, -1


async def _cold(setup: Setup, channel: socket.socket) -> tuple[int, int]:
    """Pid and pidfd of a worker that imports everything itself."""
    return spawn(WORKER, channel, msgspec.json.encode(setup).decode())


def spawn(module: str, channel: socket.socket, *words: str) -> tuple[int, int]:
    """A process of its own session that runs this module with this socket; its pid and pidfd. Raises OSError.

    Whoever sees it end must wait for the pid, so that it is no zombie.
    """
    # Neither needs the service's settings, and some of them are secrets.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKSWITCH_")}
    home = str(Path(service.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", module, str(CHANNEL), *words],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (
                os.POSIX_SPAWN_OPEN,
                1,
                os.devnull,
                os.O_WRONLY,
                0,
            ),  # nobody waits for its end who waits for the service's
            (os.POSIX_SPAWN_DUP2, channel.fileno(), CHANNEL),
        ],
        setsid=True,  # what a terminal sends to the service is not for them
    )
    return pid, os.pidfd_open(pid)
