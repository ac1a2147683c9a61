import asyncio
import contextlib

import aioice.ice
import pytest

from service.media.worker.dtls import make_certificate
from service.media.worker.mux import Mux, open_socket
from tests.media.worker.transport.peer import Peer


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Worker:
    """A mux on loopback, its certificate and its clock; `client` is a connected peer for the length of a block."""

    def __init__(self, host):
        self.host = host
        self.clock = Clock()
        self.certificate = make_certificate()
        self.mux = Mux(open_socket(host), self.clock, asyncio.get_running_loop())
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


@pytest.fixture(params=["127.0.0.1"])
async def worker(request, monkeypatch):
    """aioice leaves loopback out; here it is all there is."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [request.param])
    worker = Worker(request.param)
    yield worker
    worker.mux.close()
