"""Other people's servers, well and badly behaved, on loopback."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def status(code, *headers, body=b""):
    """An answer with that status."""
    lines = [f"HTTP/1.1 {code} x", *headers, f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Received:
    """One request as it came."""

    method: str
    target: str
    headers: dict
    body: bytes
    connection: int

    @property
    def id(self):
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers with `answers` in turn, then with `otherwise`.

    An answer is bytes, or an async function of (request, reader, writer) that writes what it likes, after which the
    connection is closed.
    """

    answers: list = field(default_factory=list)
    otherwise: object = OK
    requests: list = field(default_factory=list)
    port: int = 0
    connections: int = 0
    arrived: asyncio.Queue = field(default_factory=asyncio.Queue)
    ended: asyncio.Queue = field(default_factory=asyncio.Queue)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, count=1, within=10):
        """Wait for that many more requests and return them."""
        async with asyncio.timeout(within):
            return [await self.arrived.get() for _ in range(count)]

    def answer_to(self, request):
        """The next of the answers; kinds of receivers look at the request first."""
        return self.answers.pop(0) if self.answers else self.otherwise

    async def connected(self, reader, writer):
        self.connections += 1
        number = self.connections
        try:
            while request := await self.read(reader, number):
                self.requests.append(request)
                answer = self.answer_to(request)
                self.arrived.put_nowait(request)
                if callable(answer):
                    await answer(request, reader, writer)
                else:
                    writer.write(answer)
                    await writer.drain()
                if callable(answer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self.ended.put_nowait(number)

    async def read(self, reader, number):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode().strip().split("\r\n")
        method, target, _version = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Received(method, target, headers, body, number)


@asynccontextmanager
async def listening(receiver=None, tls=None, **how):
    """A receiver on a free port of loopback."""
    receiver = receiver or Receiver(**how)
    tasks = set()

    async def connected(reader, writer):
        tasks.add(task := asyncio.current_task())
        task.add_done_callback(tasks.discard)
        await receiver.connected(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hang(_request, reader, _writer):
    """Never answer; ends when the other side gives up."""
    await reader.read()


async def vanish(_request, _reader, writer):
    """Close without a word."""
    writer.close()


def dribble(head, drop=b"x"):
    """Write `head`, then a drop at a time for ever."""

    async def answer(_request, _reader, writer):
        writer.write(head)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.005)

    return answer


async def flood(_request, _reader, writer):
    """A body without end, as fast as it goes."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()
