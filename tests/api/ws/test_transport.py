"""The way through uvicorn's protocol: what it lets past, and that nobody can hold it up."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from service.api.ws.transport import EXTENSION, Reader, SocketProtocol
from service.app import open_listener
from service.assembly import FrontServer
from service.live.framing import text_frame

WITHIN_S = 10
HEARTBEAT_S = 0.05


class Ear(Reader):
    """Keeps what it hears; `gone` when the socket is lost."""

    def __init__(self):
        self.heard = []
        self.full = asyncio.Event()
        self.free = asyncio.Event()
        self.gone = asyncio.Event()
        self.news = asyncio.Event()
        self.socket = None

    def received(self, message, *, binary):
        self.heard.append((bytes(message), binary))
        self.news.set()

    def congested(self):
        self.full.set()

    def relieved(self):
        self.free.set()

    def lost(self):
        self.gone.set()

    async def hears(self, number):
        async with asyncio.timeout(WITHIN_S):
            while len(self.heard) < number:
                self.news.clear()
                await self.news.wait()
        return self.heard


@asynccontextmanager
async def serving(app, **options):
    listener = open_listener("127.0.0.1", 0)
    config = uvicorn.Config(
        app,
        ws=SocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=1_000,
        lifespan="off",
        log_config=None,
        **options,
    )
    server = FrontServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    try:
        yield "ws://{}:{}/".format(*listener.getsockname())
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def ear():
    return Ear()


@pytest.fixture
async def url(ear):
    async with serving(application(ear)) as url:
        yield url


def application(ear):
    async def app(scope, receive, send):
        await receive()
        ear.socket = scope["extensions"][EXTENSION]
        await send({"type": "websocket.accept"})
        assert ear.socket.attach(ear)

    return app


async def test_messages_come_through_whole_and_at_once(ear, url):
    async with connect(url) as client:
        await client.send("grüezi")
        await client.send(b"\x00")
        await client.send(["in ", "parts"])
        assert await ear.hears(3) == [("grüezi".encode(), False), (b"\x00", True), (b"in parts", False)]


async def test_frames_go_out_as_they_were_written(ear, url):
    async with connect(url, max_size=None) as client:
        await client.send("here")
        await ear.hears(1)
        sizes = (0, 125, 126, 65_535, 65_536, 200_000)
        ear.socket.write(b"".join(text_frame(b"x" * size) for size in sizes))
        assert [len(await client.recv()) for _ in sizes] == list(sizes)


async def test_the_application_may_return_and_the_socket_lives_on(ear, url):
    async with connect(url) as client:
        await client.send("one")
        await ear.hears(1)
        await (await client.ping())
        assert not ear.gone.is_set()
    await asyncio.wait_for(ear.gone.wait(), WITHIN_S)


async def test_a_good_bye_carries_its_code(ear, url):
    async with connect(url) as client:
        await client.send("here")
        await ear.hears(1)
        ear.socket.close(4409, "elsewhere")
        ear.socket.close(4401, "too late")
        ear.socket.write(text_frame(b"too late"))
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4409, "elsewhere")


async def test_what_comes_after_the_good_bye_is_not_heard(ear, url):
    async with connect(url) as client:
        await client.send("here")
        await ear.hears(1)
        ear.socket.close(4409, "elsewhere")
        with suppress(ConnectionClosed):
            while True:
                await client.send("and another thing")
                await next_turn()
        await asyncio.wait_for(ear.gone.wait(), WITHIN_S)
        assert len(ear.heard) == 1


async def test_too_large_a_message_and_bad_text_close(ear, url):
    for message, text, code in (("x" * 1_001, True, 1009), (b"\xff", True, 1007)):
        async with connect(url) as client:
            await client.send(message, text=text)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == code


async def test_a_client_that_does_not_read_fills_its_own_transport_alone(ear, url):
    async with connect(url, max_size=None, max_queue=1) as client:
        await client.send("here")
        await ear.hears(1)
        client.transport.pause_reading()
        async with asyncio.timeout(WITHIN_S):
            while not ear.full.is_set():
                ear.socket.write(text_frame(b"x" * 100_000))
                await next_turn()
        client.transport.resume_reading()
        reading = asyncio.create_task(drain(client))
        await asyncio.wait_for(ear.free.wait(), WITHIN_S)
        reading.cancel()
        client.transport.abort()


async def test_a_client_that_answers_no_ping_is_given_up(ear):
    async with serving(application(ear), ws_ping_interval=HEARTBEAT_S, ws_ping_timeout=HEARTBEAT_S) as url:
        host, port = url.removeprefix("ws://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.wait_for(ear.gone.wait(), WITHIN_S)
        writer.close()


async def test_an_application_that_fails_before_the_handshake_is_a_plain_500():
    async def broken(scope, receive, send):
        raise ValueError("no")

    async with serving(broken) as url:
        with pytest.raises(InvalidStatus, match="500"):
            async with connect(url):
                pass


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def next_turn():
    """Let the loop run once."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    await turn.wait()


async def drain(client):
    async for _ in client:
        pass
