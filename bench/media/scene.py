"""A room full of synthetic clients: who sends what to whom, and what was measured of it."""

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from itertools import count

from bench.media.client import Client
from bench.media.cores import cpu_ns, drops
from bench.media.pace import Pace
from bench.media.streams import Stream
from bench.samples import percentile

IN_FLIGHT_S = 0.3
SETTLE_S = 20.0
SETTLED_S = 1.0


class DisturbedError(Exception):
    """So much was lost, or came so late, that figures of this round would mean nothing."""


@dataclass
class Measured:
    """A stretch of time. Latencies in microseconds; for `withheld` and `breaks` see flows.Flow.

    `dropped` packets reached the load, which was too slow for them; `unsent` ones never left it.
    """

    seconds: float
    expected: int
    forwards: int
    cpu_s: float
    load_cpu_s: float
    duplicates: int
    late: int
    withheld: int
    breaks: int
    refused: int
    damaged: int
    dropped: int
    unsent: int
    p50_us: float
    p99_us: float

    @property
    def lost(self):
        """What the forwarder lost, without wanting to."""
        return max(0, self.expected - self.forwards - self.dropped - self.withheld)

    @property
    def loss(self):
        """Share of what did not arrive, whatever the reason."""
        return 1 - self.forwards / self.expected if self.expected else 1.0

    @property
    def rate(self):
        return self.forwards / self.seconds

    @property
    def cpu_us(self):
        """CPU of the forwarder for each packet that it forwarded."""
        return self.cpu_s / self.forwards * 1e6 if self.forwards else float("nan")

    @property
    def cpu_percent(self):
        return self.cpu_s / self.seconds * 100


class Scene:
    """Clients in rooms of one forwarder. `pid` is the process that is measured."""

    def __init__(self, slab, host, pid):
        self.pace = Pace()
        self._slab = slab
        self._host = host
        self._pid = pid
        self._numbers = count(1)
        self._clients = []
        self._hears = []

    @contextlib.asynccontextmanager
    async def playing(self):
        """Everybody leaves at the end."""
        try:
            yield self
        finally:
            self.pace.stop()
            for client in self._clients:
                client.close()

    def stream(self, kind, **options):
        return Stream(next(self._numbers), kind, **options)

    async def publisher(self, room, who, streams, **options):
        """Connect and send from now on."""
        client = self._client(streams=streams, **options)
        await room.publish(who, client)
        self.pace.add(client)
        return client

    async def subscriber(self, room, who, publishers, **options):
        """Connect and receive what those publish; `publishers` are names with their streams."""
        client = self._client(**options)
        await room.subscribe(who, client, publishers)
        wanted = [stream for name, streams in publishers.items() if name != who for stream in streams]
        self._hears.append((client, wanted))
        return client

    async def watcher(self, room, who, publishers):
        """As a subscriber, but what it receives need not be what was sent."""
        await room.subscribe(who, self._client(), publishers)

    async def cost(self, seconds):
        """CPU of the forwarder, in percent of a core."""
        began, cpu = time.perf_counter(), cpu_ns(self._pid)
        await asyncio.sleep(seconds)
        return (cpu_ns(self._pid) - cpu) / 1e7 / (time.perf_counter() - began)

    def _client(self, **options):
        client = Client(self._slab, self._host, **options)
        self._clients.append(client)
        return client

    async def settled(self):
        """Wait until every stream flows to everybody who shall have it; DisturbedError tells how many do not.

        A forwarder that estimates how much a subscriber can take may need a while until it sends everything.
        """
        end = time.monotonic() + SETTLE_S
        while missing := [
            f"{stream.kind} {stream.number}"
            for client, streams in self._hears
            for stream in streams
            if not flows(client.inbox.flows.get(stream.number), stream)
        ]:
            if time.monotonic() > end:
                raise DisturbedError(f"{len(missing)} streams do not flow, {missing[0]} is one")
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLED_S)

    async def measured(self, seconds):
        """What happens from now on, for so many seconds."""
        for client, _ in self._hears:
            client.inbox.begin()
        faults = self._faults()
        begin = {stream: stream.sent for _, streams in self._hears for stream in streams}
        began, cpu, own = time.perf_counter(), cpu_ns(self._pid), cpu_ns(os.getpid())
        await asyncio.sleep(seconds)
        took, cpu, own = time.perf_counter() - began, cpu_ns(self._pid) - cpu, cpu_ns(os.getpid()) - own
        end = {stream: stream.sent for stream in begin}
        await asyncio.sleep(IN_FLIGHT_S)
        pairs = [(client, stream) for client, streams in self._hears for stream in streams]
        expected = sum(end[stream] - begin[stream] for _, stream in pairs)
        lost = sum(client.inbox.flows[s.number].missing(begin[s], end[s]) for client, s in pairs)
        latencies = [value for client, _ in self._hears for f in client.inbox.flows.values() for value in f.latencies]
        latencies.sort()
        after = self._faults()
        return Measured(
            seconds=took,
            expected=expected,
            forwards=expected - lost,
            cpu_s=cpu / 1e9,
            load_cpu_s=own / 1e9,
            p50_us=percentile(latencies, 0.5) / 1000,
            p99_us=percentile(latencies, 0.99) / 1000,
            **{name: after[name] - faults[name] for name in faults},
        )

    def _faults(self):
        """Running sums of what must not happen."""
        flows = [flow for client, _ in self._hears for flow in client.inbox.flows.values()]
        ports = {client.socket.getsockname()[1] for client in self._clients if client.socket.fileno() >= 0}
        return {
            "duplicates": sum(flow.duplicates for flow in flows),
            "late": sum(flow.late for flow in flows),
            "withheld": sum(flow.withheld for flow in flows),
            "breaks": sum(flow.breaks for flow in flows),
            "damaged": sum(flow.damaged for flow in flows),
            "refused": sum(client.refused for client in self._clients),
            "dropped": drops(ports),
            "unsent": sum(client.unsent for client in self._clients),
        }


def flows(flow, stream):
    """Whether packets of the stream's last moments have arrived."""
    return flow is not None and flow.newest > stream.sent - 2 - IN_FLIGHT_S * stream.rate
