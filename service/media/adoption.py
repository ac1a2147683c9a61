"""Workers that outlived their service wait on named sockets in the data folder; the next service takes them over."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from service.media.birth import MediaUnavailableError, Newborn
from service.media.config import MediaConfig
from service.media.handle import Handle, Listener
from service.media.worker.waiting import ENDING
from service.telemetry.logs import logger

PEER = struct.Struct("3i")  # pid, uid, gid of unix(7)


async def find_orphans(config: MediaConfig, listener: Listener) -> list[Handle]:
    """Every worker that waits in the folder and talks our protocol; others may be somebody else's by now."""
    log = logger("media")
    found: list[Handle] = []
    with private_folder(config.folder) as folder:
        for name in await asyncio.to_thread(_names, folder):
            born = await asyncio.to_thread(_knock, folder, name)
            if born is None:
                continue
            worker = Handle(born, config, listener)
            try:
                async with asyncio.timeout(config.start_s):
                    await worker.meet(born)
            except (MediaUnavailableError, TimeoutError) as error:
                log.warning("a worker of an earlier service cannot be taken over", pid=born.pid, error=str(error))
            else:
                found.append(worker)
    return found


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
    """The worker behind that socket; a socket that nobody listens on is removed."""
    channel = socket.socket(socket.AF_UNIX)
    try:
        # By descriptor, because a path to a socket has 108 bytes at most.
        channel.connect(f"/proc/self/fd/{folder}/{name}")
        pid, uid, _ = PEER.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if uid != os.getuid():
            channel.close()
            return None
        channel.setblocking(False)
        return Newborn(name.removesuffix(ENDING), pid, os.pidfd_open(pid), channel, ours=False)
    except ConnectionRefusedError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    except OSError:
        pass  # it has just ended
    channel.close()
    return None
