import asyncio
import contextlib
import socket

import aioice.ice
import pytest

from service.media.worker.dtls import make_certificate
from service.media.worker.mux import Mux, open_socket
from tests.media.worker.transport.checks import Checker
from tests.media.worker.transport.peer import Peer


def loopbacks():
    """Where the worker listens and where its clients reach it, as this machine has them."""
    yield "127.0.0.1", "127.0.0.1"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        yield "::1", "::1"
        yield "::", "127.0.0.1"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Worker:
    """A mux on loopback, its certificate and its clock; `client` is a connected peer for the length of a block."""

    def __init__(self, bound, host):
        self.host = host
        self.clock = Clock()
        self.certificate = make_certificate()
        self.mux = Mux(open_socket(bound), self.clock, asyncio.get_running_loop())
        self.mux.start()

    def pass_time(self, seconds):
        self.clock.now += seconds
        self.mux.tick(self.clock.now)

    @contextlib.asynccontextmanager
    async def peer(self, setup="actpass"):
        peer = Peer(setup)
        try:
            yield peer
        finally:
            await peer.close()

    @contextlib.asynccontextmanager
    async def client(self, setup="actpass"):
        async with self.peer(setup) as peer:
            yield await peer.connect(self)

    @contextlib.asynccontextmanager
    async def checker(self):
        checker = Checker(self)
        try:
            yield await checker.open()
        finally:
            checker.close()


@pytest.fixture
async def worker_on(monkeypatch):
    """Workers by where they listen. aioice leaves loopback out; here it is all there is."""
    made = []

    def make(bound, host):
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [host])
        made.append(Worker(bound, host))
        return made[-1]

    yield make
    for worker in made:
        worker.mux.close()


@pytest.fixture
async def worker(worker_on):
    return worker_on("127.0.0.1", "127.0.0.1")


@pytest.fixture
async def troubles():
    """What the loop had to tell of exceptions that nobody caught."""
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    return heard
