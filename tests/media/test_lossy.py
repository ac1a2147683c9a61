"""The bad network itself: what it loses is chosen by the seed, and what comes late is overtaken."""

import asyncio
import socket
from contextlib import asynccontextmanager

from tests.fixtures.lossy import BUFFER, Weather, lossy

WITHIN_S = 10
MANY = 250
ANSWER = """v=0
a=ice-lite
a=candidate:1 1 udp 2130706431 192.0.2.7 4711 typ host
a=candidate:2 1 UDP 2130706175 192.0.2.8 4711 typ host
a=end-of-candidates
"""


class Ear(asyncio.DatagramProtocol):
    """Keeps what comes, in order; answers each datagram with itself when it `echoes`."""

    def __init__(self, *, echoes=False):
        self.echoes = echoes
        self.heard = asyncio.Queue()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def datagram_received(self, data, addr):
        self.heard.put_nowait((data, addr))
        if self.echoes:
            self.transport.sendto(data, addr)

    async def take(self, count):
        async with asyncio.timeout(WITHIN_S):
            return [await self.heard.get() for _ in range(count)]


@asynccontextmanager
async def ear(**options):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: Ear(**options), local_addr=("127.0.0.1", 0))
    try:
        yield protocol, transport.get_extra_info("sockname")
    finally:
        transport.close()


def packet(number):
    return bytes([128, 96]) + number.to_bytes(2, "big")


async def test_what_is_lost_depends_on_the_seed_alone():
    survivors = [n for n, wait in enumerate(map(Weather(seed=7, loss=0.05).fate, [b""] * MANY)) if wait is not None]
    assert 0.9 * MANY < len(survivors) < MANY
    async with ear(echoes=True) as (server, address), ear() as (client, _):
        up = Weather(seed=7, loss=0.05)
        async with lossy(address, up=up) as proxy:
            for number in range(MANY):
                client.transport.sendto(packet(number), proxy.address)
            heard = await client.take(len(survivors))
            assert [data for data, _ in heard] == [packet(number) for number in survivors]
            assert {source for _, source in heard} == {proxy.address}
            assert [data for data, _ in await server.take(len(survivors))] == [data for data, _ in heard]
        assert (up.passed, up.dropped) == (len(survivors), MANY - len(survivors))


async def test_each_client_is_one_address_to_the_server():
    async with ear(echoes=True) as (server, address), ear() as (one, _), ear() as (two, _), lossy(address) as proxy:
        for client, data in ((one, b"one"), (two, b"two"), (one, b"more")):
            client.transport.sendto(data, proxy.address)
        sources = dict(await server.take(3))
        assert sources[b"one"] == sources[b"more"] != sources[b"two"]
        assert [data for data, _ in await one.take(2)] == [b"one", b"more"]
        assert [data for data, _ in await two.take(1)] == [b"two"]


async def test_what_is_late_is_overtaken():
    async with ear() as (server, address), ear() as (client, _):
        async with lossy(address, up=Weather(seed=3, late=0.1, late_s=0.05)) as proxy:
            for number in range(MANY):
                client.transport.sendto(packet(number), proxy.address)
            heard = [data for data, _ in await server.take(MANY)]
        sent = [packet(number) for number in range(MANY)]
        assert heard != sent
        assert sorted(heard) == sent


def test_handshakes_may_pass_in_any_weather():
    storm = Weather(loss=1.0, media_only=True)
    assert [storm.fate(data) for data in (b"\x00\x01", b"\x16\xfe", packet(1), b"")] == [0.0, 0.0, None, 0.0]


async def test_a_description_leads_through_the_proxy():
    async with ear() as (_, address), lossy(address) as proxy:
        host, port = proxy.address
        lines = proxy.through(ANSWER).splitlines()
        assert lines[2:4] == [
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
            f"a=candidate:2 1 UDP 2130706175 {host} {port} typ host",
        ]
        assert lines[0:2] + lines[4:] == ANSWER.splitlines()[0:2] + ANSWER.splitlines()[4:]
