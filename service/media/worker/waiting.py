"""The place where a worker waits whose service is gone: a named socket in a folder that only its user can enter."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

ENDING = ".sock"


class Waiting:
    """Listens from `start` on, for one connection; `came` gets it."""

    def __init__(self, folder: str, worker: str, came: Callable[[socket.socket], None]) -> None:
        self._folder = Path(folder)
        self._name = worker + ENDING
        self._came = came
        self._listener: socket.socket | None = None
        self._directory = -1

    def start(self) -> None:
        """Raises OSError when the folder cannot be used."""
        loop = asyncio.get_running_loop()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        listener = socket.socket(socket.AF_UNIX)
        listener.setblocking(False)
        try:
            # By descriptor, because a path to a socket has 108 bytes at most. It gets its name when somebody can call:
            # who is refused takes it for dead.
            fresh = f"{self._name}.new"
            listener.bind(f"/proc/self/fd/{self._directory}/{fresh}")
            listener.listen(1)
            os.rename(fresh, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError:
            listener.close()
            os.close(self._directory)
            raise
        self._listener = listener
        loop.add_reader(listener, self._accept)

    def stop(self) -> None:
        """No longer; stopping twice is fine."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._directory)
        os.close(self._directory)

    def _accept(self) -> None:
        if self._listener is None:
            return
        with contextlib.suppress(OSError):  # it is gone again
            channel, _ = self._listener.accept()
            channel.setblocking(False)
            self.stop()
            self._came(channel)
