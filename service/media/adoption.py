"""Workers that outlived their service wait on named sockets in the data folder; the next service takes them over."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.media.birth import MediaUnavailableError, Newborn
from service.media.config import MediaConfig
from service.media.handle import Handle, Listener
from service.media.worker.waiting import ENDING
from service.telemetry.logs import logger

PEER = struct.Struct("3i")  # pid, uid, gid of unix(7)
PATIENCE_S = 1.0
"""So long those that answer wait for those that do not."""
SILENCES = 2
"""So often in a row a worker may be silent for its time to start; the service itself may have stood still once."""
MOST_DOUBLED = 4


@dataclass(slots=True)
class Silence:
    """How often in a row a worker did not answer; it is left alone until that moment of the loop's clock."""

    times: int = 0
    until: float = 0.0


class Orphans:
    """Finds them, asks all of them at once, and ends those that stay silent: frozen, their media is lost anyway."""

    def __init__(self, config: MediaConfig, listener: Listener) -> None:
        self._config = config
        self._listener = listener
        self._asked: dict[str, asyncio.Task[Handle | None]] = {}
        self._silent: dict[str, Silence] = {}
        self._log = logger("media")

    async def find(self) -> list[Handle]:
        """Every worker that waits in the folder and talks our protocol; others may be somebody else's by now.

        Who does not answer soon is asked on in the background, and is found later.
        """
        now = asyncio.get_running_loop().time()
        with private_folder(self._config.folder) as folder:
            names = await asyncio.to_thread(_names, folder)
        self._silent = {name: silence for name, silence in self._silent.items() if name in names}
        for name in names:
            if name not in self._asked and not (name in self._silent and now < self._silent[name].until):
                self._asked[name] = asyncio.create_task(self._ask(name))
        if self._asked:
            await asyncio.wait(self._asked.values(), timeout=PATIENCE_S)
        done = {name: task for name, task in self._asked.items() if task.done()}
        for name in done:
            del self._asked[name]
        return [worker for task in done.values() if (worker := task.result()) is not None]

    async def close(self) -> None:
        """Ask no more."""
        asked, self._asked = self._asked, {}
        for task in asked.values():
            task.cancel()
        for answer in await asyncio.gather(*asked.values(), return_exceptions=True):
            if isinstance(answer, Handle):
                answer.leave()

    async def _ask(self, name: str) -> Handle | None:
        with private_folder(self._config.folder) as folder:
            try:
                born = _knock(folder, name)
            except BlockingIOError:
                self._heard_nothing(name, -1)
                return None
        if born is None:
            return None
        watch = os.dup(born.watch)  # the handle closes its own when it gives up
        worker = Handle(born, self._config, self._listener)
        try:
            async with asyncio.timeout(self._config.start_s):
                await worker.meet(born)
        except TimeoutError:
            self._heard_nothing(name, watch if born.pid != os.getpid() else -1)
        except MediaUnavailableError as error:
            self._log.warning("a worker of an earlier service cannot be taken over", pid=born.pid, error=str(error))
        else:
            return worker
        finally:
            os.close(watch)
        return None

    def _heard_nothing(self, name: str, watch: int) -> None:
        """It is asked again later; who is silent then, too, is ended. `watch`: its descriptor, -1 without one."""
        silence = self._silent.setdefault(name, Silence())
        silence.times += 1
        silence.until = asyncio.get_running_loop().time() + self._config.start_s * 2 ** min(silence.times, MOST_DOUBLED)
        kills = watch >= 0 and silence.times >= SILENCES
        self._log.warning("a worker of an earlier service does not answer", worker=name, killed=kills)
        if kills:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(watch, signal.SIGKILL)


@contextlib.contextmanager
def private_folder(folder: Path) -> Iterator[int]:
    """A descriptor of the folder, which is made if need be and closed to other users."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _names(folder: int) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(ENDING))


def _knock(folder: int, name: str) -> Newborn | None:
    """The worker behind that socket; a socket that nobody listens on is removed.

    Raises BlockingIOError when those who knocked before were not let in.
    """
    channel = socket.socket(socket.AF_UNIX)
    channel.setblocking(False)
    try:
        # By descriptor, because a path to a socket has 108 bytes at most.
        channel.connect(f"/proc/self/fd/{folder}/{name}")
        pid, uid, _ = PEER.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if uid != os.getuid():
            channel.close()
            return None
        return Newborn(name.removesuffix(ENDING), pid, os.pidfd_open(pid), channel, ours=False)
    except BlockingIOError:
        channel.close()
        raise
    except ConnectionRefusedError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    except OSError:
        pass  # it has just ended
    channel.close()
    return None
