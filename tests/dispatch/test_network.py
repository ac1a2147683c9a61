"""A connection as httpcore2 uses it, on both event loops: the tests' own and the service's."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import httpcore2
import pytest
import uvloop

from service.dispatch.network import Network
from tests.fixtures.certificates import certificate

RESET = struct.pack("ii", 1, 0)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """Runs a scene on one of the loops."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda scene: runner.run(asyncio.wait_for(scene, 10))


@asynccontextmanager
async def met(play, tls=None):
    """A connection to somebody who plays this with it: an async function of (reader, writer)."""

    async def played(reader, writer):
        try:
            await play(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(played, "127.0.0.1", 0, ssl=tls)
    stream = await Network().connect_tcp("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield stream
    finally:
        await stream.aclose()
        server.close()


@asynccontextmanager
async def met_by_silence():
    """A connection to somebody who says nothing, and takes nothing."""
    over = asyncio.Event()

    async def still(_reader, _writer):
        await over.wait()

    async with met(still) as stream:
        yield stream
        over.set()


async def echo(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)


def test_what_comes_is_read_in_pieces_and_then_the_end(run):
    async def bye(_reader, writer):
        writer.write(b"hello")

    async def scene():
        async with met(bye) as stream:
            return [await stream.read(3), await stream.read(3), await stream.read(3), await stream.read(3)]

    assert run(scene()) == [b"hel", b"lo", b"", b""]


def test_everything_written_arrives_in_order(run):
    parts = [bytes([number]) * 50_000 for number in range(40)]

    async def scene():
        async with met(echo) as stream:
            back = bytearray()

            async def read():
                while len(back) < sum(map(len, parts)):
                    back.extend(await stream.read(10_000))

            reading = asyncio.create_task(read())
            for part in parts:
                await stream.write(part)
            await reading
            return bytes(back)

    assert run(scene()) == b"".join(parts)


def test_a_connection_that_is_reset_says_so(run):
    async def reset(reader, writer):
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    async def scene():
        async with met(reset) as stream:
            await stream.write(b"x")
            with pytest.raises(httpcore2.ReadError):
                await stream.read(1)
            with pytest.raises(httpcore2.WriteError):
                await stream.write(b"x")

    run(scene())


def test_nothing_is_written_to_a_closed_connection(run):
    async def scene():
        async with met(echo) as stream:
            await stream.aclose()
            with pytest.raises(httpcore2.WriteError):
                await stream.write(b"x")

    run(scene())


def test_patience_ends(run):
    async def scene():
        async with met_by_silence() as stream:
            with pytest.raises(httpcore2.ReadTimeout):
                await stream.read(1, timeout=0.01)
            with pytest.raises(httpcore2.WriteTimeout):
                await stream.write(bytes(32_000_000), timeout=0.01)

    run(scene())


def test_who_reads_slowly_is_not_flooded(run):
    """The other side is made to wait, instead of everything being kept here."""
    parts, size = 400, 100_000

    async def scene():
        sent = []

        async def flood(_reader, writer):
            for number in range(parts):
                writer.write(bytes(size))
                await writer.drain()
                sent.append(number)

        async with met(flood) as stream, met(echo) as beside:
            read = len(await stream.read(1))
            for _ in range(parts):  # meanwhile the flood has all the time that it would need
                await beside.write(b"x")
                await beside.read(1)
            before = len(sent)
            while read < parts * size:
                read += len(await stream.read(size))
            return before

    assert run(scene()) < parts // 2


def test_an_idle_connection_tells_that_it_is_over(run):
    async def scene():
        go = asyncio.Event()

        async def wait(_reader, _writer):
            await go.wait()

        async with met(wait) as stream:
            before = stream.get_extra_info("is_readable")
            go.set()
            await stream.read(1)
            return before, stream.get_extra_info("is_readable")

    assert run(scene()) == (False, True)


def test_nobody_is_there(run):
    async def scene():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            with pytest.raises(httpcore2.ConnectError):
                await Network().connect_tcp("127.0.0.1", free.getsockname()[1])

    run(scene())


def test_inside_tls_the_certificate_is_checked(run, tmp_path):
    server, client = certificate(tmp_path, "hooks.example")

    async def scene():
        async with met(echo, server) as stream:
            sealed = await stream.start_tls(client, "hooks.example")
            await sealed.write(b"secret")
            assert await sealed.read(100) == b"secret"
            assert sealed.get_extra_info("ssl_object").version().startswith("TLS")
        async with met(echo, server) as stream:
            with pytest.raises(httpcore2.ConnectError, match="certificate"):
                await stream.start_tls(client, "other.example")
        async with met_by_silence() as stream:
            with pytest.raises(httpcore2.ConnectTimeout):
                await stream.start_tls(client, "hooks.example", timeout=0.01)

    run(scene())
