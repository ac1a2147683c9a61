"""One socket's outgoing side: straight to the network while it takes everything, into a bounded queue while not."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from service.store.connections import Connection

if TYPE_CHECKING:
    from service.live.turns import Turn

REVOKED = 4401
SLOW_READER = 4408
REPLACED = 4409


@dataclass(slots=True, frozen=True)
class SessionConfig:
    """What a socket may hold back: frames, bytes, and seconds without the client reading."""

    max_frames: int = 1_000
    max_bytes: int = 1024 * 1024
    send_timeout_s: float = 10.0


class Outlet(Protocol):
    """The socket as a session sees it. Neither method blocks or raises."""

    def write(self, frames: bytes) -> None:
        """Send whole frames; what the network does not take at once is held by the transport."""

    def close(self, code: int, reason: str) -> None:
        """Say good-bye behind what was written, and be gone soon, whether the client reads it or not."""


@dataclass(slots=True)
class Watch:
    """Where a session stands in one call: the next `seq` it will hear, and the newest version it has seen.

    `removed`: the user was taken out and hears nothing until invited again. `asked` is the last attempt for which
    the session asked to be rung. `carried`: the media worker (its epoch) that the device was told of last, 0 when the
    clients carry their media themselves; `None` while this device is not in the call.
    """

    next: int
    version: int = 0
    removed: bool = False
    asked: int = 0
    carried: int | None = None


def _nobody(_call_id: str) -> None:
    """Asks for no ring."""


def _no_worker(_call_id: str, _epoch: int) -> None:
    """Is told of no media worker."""


class Session:
    """One connected device of a user. `held` collects turns until the welcome has been said.

    `sees` are the streams of the users whose presence it asked for.
    """

    __slots__ = (
        "_batch",
        "_config",
        "_congested",
        "_outlet",
        "_queue",
        "_queued_bytes",
        "_timer",
        "active",
        "closed",
        "connection",
        "corked",
        "held",
        "only_call",
        "restart_me",
        "ring_me",
        "rings",
        "sees",
        "silenced",
        "watches",
        "watching",
    )

    def __init__(
        self,
        connection: Connection,
        outlet: Outlet,
        config: SessionConfig,
        *,
        only_call: str | None = None,
        ring_me: Callable[[str], None] = _nobody,
        restart_me: Callable[[str, int], None] = _no_worker,
    ) -> None:
        self.connection = connection
        self.only_call = only_call
        self.ring_me = ring_me
        self.restart_me = restart_me
        self.watches: dict[str, Watch] = {}
        self.rings: dict[str, str] = {}
        self.silenced: set[str] = set()
        self.active: set[str] = set()
        self.watching: set[str] = set()
        self.sees: set[UUID] = set()
        self.held: list[Turn] | None = []
        self.closed = False
        self.corked = False
        self._batch: list[bytes] | None = None
        self._outlet = outlet
        self._config = config
        self._congested = False
        self._queue: deque[bytes] | None = None
        self._queued_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def send(self, frames: bytes) -> None:
        """Send whole frames, in order. A client that does not read is closed with 4408 when its queue is full.

        While `corked`, what is sent in one turn of the loop goes out in one write: every write is a system call.
        """
        if self.closed:
            return
        if self._batch is not None:
            self._batch.append(frames)
        elif self.corked:
            self._batch = [frames]
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._put(frames)

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        if batch and not self.closed:
            self._put(b"".join(batch))

    def _put(self, frames: bytes) -> None:
        if not self._congested:
            self._outlet.write(frames)
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(frames)
        self._queued_bytes += len(frames)
        if len(self._queue) > self._config.max_frames or self._queued_bytes > self._config.max_bytes:
            self.close(SLOW_READER, "too slow; resume with resume_after")

    def congested(self) -> None:
        """The transport holds all it will hold. Nobody else waits for this client."""
        self._congested = True
        if self._timer is None and not self.closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._config.send_timeout_s, self._too_slow)

    def relieved(self) -> None:
        """The client reads again: send what has queued up."""
        self._congested = False
        self._stop_timer()
        while self._queue and not self._congested:
            frames = self._queue.popleft()
            self._queued_bytes -= len(frames)
            self._outlet.write(frames)
        if not self._queue:
            self._queue = None

    def close(self, code: int, reason: str) -> None:
        """Say good-bye and forget what is queued; the client resumes where it stood."""
        if not self.closed:
            if not self._congested:
                self._flush()
            self.lost()
            self._outlet.close(code, reason)

    def lost(self) -> None:
        """The socket is gone, or as good as gone."""
        self.closed = True
        self._batch = self._queue = None
        self._stop_timer()

    def _too_slow(self) -> None:
        self._timer = None
        self.close(SLOW_READER, "too slow; resume with resume_after")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
