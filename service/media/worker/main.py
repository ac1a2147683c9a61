"""A worker: the one process that carries the media of a call, or of a few. Steered over its channel.

The only module of the worker that reads a clock.
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from service.media.worker.control import VERSION, Channel
from service.media.worker.desk import Desk, FaultError, Line, Report
from service.media.worker.dtls import make_certificate
from service.media.worker.journal import Journal
from service.media.worker.messages import Beat, FromWorker, OpenRoom, RoomState, Setup, Welcome
from service.media.worker.mux import Mux, open_socket
from service.media.worker.room import Room
from service.media.worker.waiting import Waiting

TICK_S = 0.02
QUALITY_S = 5.0
PAGE_KB = resource.getpagesize() // 1024


class Worker:
    """One life, from the first word on the channel to the end of the last room."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._loop = asyncio.get_running_loop()
        self._clock = time.monotonic
        self._over = asyncio.Event()
        self._channel: Channel | None = None
        self._desk = Desk(
            self._make_room,
            Line(self._send, self._unsent),
            self._welcome,
            lambda room: room.quality(self._clock()),
        )
        self._unfit: str | None = None
        self._mux: Mux | None = None
        self._certificate = make_certificate()
        self._ticking = False
        self._quality_due = self._ticked = 0.0
        self._resent_by: dict[int, int] = {}
        self._resent = 0
        self._waiting: Waiting | None = None
        self._grace: asyncio.TimerHandle | None = None

    async def live(self, channel: socket.socket) -> int:
        """Serve until there is nothing left to do; the exit status."""
        self._loop.add_signal_handler(signal.SIGTERM, self._over.set)
        try:
            self._mux = Mux(bind(self._setup), self._clock, self._loop, self._setup.packets)
            self._mux.start()
        except OSError as error:  # told to whoever says hello
            self._unfit = (
                f"no UDP port can be had on {self._setup.host}: {error.strerror or error} "
                "(HOOKSWITCH_MEDIA_HOST, HOOKSWITCH_MEDIA_PORTS)"
            )
        await self._connect(channel)
        self._loop.call_later(self._setup.beat_s, self._beat, self._loop.time() + self._setup.beat_s)
        await self._over.wait()
        self._desk.close()
        if self._waiting is not None:
            self._waiting.stop()
        if self._mux is not None:
            self._mux.close()
        if self._channel is not None:
            self._channel.close()
        await asyncio.sleep(0)  # what was closed says so
        return 0 if self._unfit is None else 1

    async def _connect(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        ours = self._channel = Channel(self._take, self._lost)
        await self._loop.create_connection(lambda: ours, sock=channel)

    def _take(self, body: bytes) -> None:
        self._desk.take(body)
        if not self._ticking and self._desk.rooms:
            self._ticking = True
            self._ticked = self._clock()
            self._quality_due = self._clock() + QUALITY_S
            self._tick(self._loop.time())

    def _lost(self, _why: str) -> None:
        """The service is gone. With rooms, wait for the next one."""
        if self._desk.draining or not self._desk.rooms:
            self._over.set()
            return
        self._desk.expect_hello()
        if self._grace is None:  # it goes on when somebody comes who then says nothing that makes sense
            self._grace = self._loop.call_later(self._setup.grace_s, self._over.set)
        self._waiting = Waiting(self._setup.folder, self._setup.worker, self._adopted)
        try:
            self._waiting.start()
        except OSError:
            self._over.set()

    def _adopted(self, channel: socket.socket) -> None:
        self._connecting = self._loop.create_task(self._connect(channel))

    def _send(self, message: FromWorker) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _unsent(self) -> int:
        return self._channel.unsent if self._channel is not None else 0

    def _welcome(self, rooms: tuple[RoomState, ...]) -> Welcome:
        if self._mux is None:
            raise FaultError("media_unavailable", self._unfit or "there is no UDP port")
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        told = reachable(self._setup) if not rooms else ()  # those of rooms were told to their clients
        return Welcome(VERSION, os.getpid(), self._setup.worker, self._mux.port, told, rooms)

    def _make_room(self, request: OpenRoom, report: Report) -> Room:
        if self._mux is None:
            raise FaultError("media_unavailable", self._unfit or "there is no UDP port")
        return Room(
            request.room,
            request.epoch,
            self._mux,
            self._certificate,
            self._clock,
            report,
            request.limits,
            reachable(self._setup),
        )

    def _tick(self, due: float) -> None:
        """Every 20 ms while there are rooms; a late tick is not made up for."""
        now = self._clock()
        if self._mux is None or not self._desk.rooms:
            self._ticking = False
            return
        try:
            self._mux.tick(now)
            self._desk.guarded(Room.tick, now)
            if now >= self._quality_due:
                self._quality_due = now + QUALITY_S
                self._desk.guarded(Room.quality, now)
            self._ticked = now  # a tick that fails is none: the service sees that they stay away
        finally:
            following = max(due + TICK_S, self._loop.time())
            self._loop.call_at(following, self._tick, following)

    def _count_resent(self) -> int:
        """Goes on over slots that come and go; what one did in its last second is not missed."""
        before, self._resent_by = self._resent_by, {}
        for told in self._desk.counted(lambda room: room.resent()):
            self._resent_by |= told
        self._resent += sum(max(0, many - before.get(ssrc, 0)) for ssrc, many in self._resent_by.items())
        return self._resent

    def _beat(self, due: float) -> None:
        """Every second; one that fails is left out, because a worker that falls silent is ended with all its rooms."""
        now = self._loop.time()
        try:
            self._send(FromWorker(beat=self._state(due, now)))
        finally:
            following = max(due + self._setup.beat_s, now)
            self._loop.call_at(following, self._beat, following)

    def _state(self, due: float, now: float) -> Beat:
        mux = self._mux
        lag = max(0.0, now - due)
        # What stands still with the whole process says nothing of the ticks.
        age = max(0.0, self._clock() - self._ticked - lag) if self._ticking else 0.0
        return Beat(
            lag_ms=round(lag * 1000, 1),
            rss_kb=resident_kb(),
            sessions=len(mux.sessions) if mux else 0,
            forwarded=mux.sent if mux else 0,
            tick_age_ms=round(age * 1000, 1),
            withheld=sum(self._desk.counted(lambda room: room.withheld())),
            resent=self._count_resent(),
        )


def resident_kb() -> int:
    """The memory that the process has now; the most that it had when that cannot be read, as without descriptors."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_KB
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bind(setup: Setup) -> socket.socket:
    """The worker's UDP socket, on any free port of its range. Raises OSError when there is none."""
    if not setup.low:
        return open_socket(setup.host, 0)
    ports = list(range(setup.low, setup.high + 1))
    random.shuffle(ports)  # workers start side by side; in order they would all try the same ones
    for port in ports[1:]:
        with contextlib.suppress(OSError):
            return open_socket(setup.host, port)
    return open_socket(setup.host, ports[0])


def addresses(setup: Setup) -> tuple[str, ...]:
    """What clients are told: the public addresses, or the one that is listened on."""
    if setup.addresses or setup.host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return setup.addresses or (setup.host,)
    family = socket.AF_INET6 if ":" in setup.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Where packets to a distant address would leave from; connecting a UDP socket sends none.
        probe.connect(("2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1", 9))
        return (probe.getsockname()[0],)


def reachable(setup: Setup) -> tuple[str, ...]:
    """As `addresses`. Raises FaultError when there is none, with what an operator can do."""
    try:
        return addresses(setup)
    except OSError as error:
        detail = (
            f"no address of this machine can be told to clients: {error.strerror or error} (HOOKSWITCH_MEDIA_PUBLIC_IP)"
        )
        raise FaultError("media_unavailable", detail) from error


def run(setup: Setup, channel: socket.socket) -> int:
    """Be a worker until its end; the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    journal = logging.StreamHandler(sys.stderr)
    journal.setFormatter(Journal(setup.worker))
    logging.basicConfig(level=logging.WARNING, handlers=[journal])
    gc.freeze()

    async def live() -> int:
        return await Worker(setup).live(channel)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(live())
    except Exception:  # whatever ends it, the log has it in one line
        logging.getLogger("hookswitch.media.worker").exception("the worker failed")
        return 1


def main() -> int:
    """`python -m service.media.worker.main <descriptor> <setup>`: without the nursery."""
    return run(msgspec.json.decode(sys.argv[2], type=Setup), socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
