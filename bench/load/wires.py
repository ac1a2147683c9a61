"""Cheap clients for two protocols: HTTP/1.1 with keep-alive, and WebSocket. No TLS, no compression, no redirects."""

import asyncio
import base64
import os

import orjson


class Http(asyncio.Protocol):
    """One connection, one request at a time. What the server closed while nothing was asked is opened again."""

    def __init__(self, address):
        self.address = address
        self.host = f"{address[0]}:{address[1]}"
        self.transport = None
        self.buffer = b""
        self.waiter = None

    @classmethod
    async def open(cls, host, port):
        connection = cls((host, port))
        await connection._connect()
        return connection

    async def _connect(self):
        self.buffer = b""
        await asyncio.get_running_loop().create_connection(lambda: self, *self.address)

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.transport = None
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data):
        self.buffer += data
        answer = take_answer(self.buffer)
        if answer and self.waiter and not self.waiter.done():
            status, body, self.buffer = answer
            self.waiter.set_result((status, body))

    async def ask(self, method, path, body=None, token="", headers=""):
        """Send one request; gives (status, body as bytes). `body` is anything that JSON can say."""
        payload = b"" if body is None else orjson.dumps(body)
        if token:
            headers = f"Authorization: Bearer {token}\r\n{headers}"
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n{headers}\r\n"
        )
        if self.transport is None or self.transport.is_closing():
            await self._connect()
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(head.encode() + payload)
        return await self.waiter

    async def must(self, method, path, body=None, token="", headers=""):
        """As `ask`, but gives the parsed body of a success and raises RuntimeError for everything else."""
        status, answer = await self.ask(method, path, body, token, headers)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return orjson.loads(answer) if answer else None

    def close(self):
        if self.transport:
            self.transport.close()


def take_answer(data):
    """(status, body, rest) of the first whole answer in `data`; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    status = int(data[9:12])
    start = end + 4
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        if len(data) < start + length:
            return None
        return status, data[start : start + length], data[start + length :]
    if b"\r\ntransfer-encoding: chunked" in head:
        return take_chunks(status, data, start)
    return status, b"", data[start:]


def take_chunks(status, data, at):
    body = b""
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(data[at:line].split(b";")[0], 16)
        at = line + 2
        if len(data) < at + size + 2:
            return None
        body += data[at : at + size]
        at += size + 2
        if size == 0:
            return status, body, data[at:]


class WebSocket(asyncio.Protocol):
    """One socket; `hear` is called with every text frame, pings are answered."""

    def __init__(self, host, path, protocol, hear):
        self.hello = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"{f'Sec-WebSocket-Protocol: {protocol}' if protocol else 'X-None: 1'}\r\n\r\n"
        ).encode()
        self.hear = hear
        self.transport = None
        self.buffer = b""
        self.opened = asyncio.get_running_loop().create_future()
        self.closed = None

    @classmethod
    async def open(cls, host, port, path, protocol, hear):
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: cls(f"{host}:{port}", path, protocol, hear), host, port)
        await socket.opened
        return socket

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.hello)

    def connection_lost(self, exc):
        self.closed = self.closed or f"lost: {exc}"
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError(self.closed))

    def data_received(self, data):
        self.buffer = self.buffer + data if self.buffer else data
        if not self.opened.done() and not self._shake():
            return
        while frame := take_frame(self.buffer):
            kind, payload, self.buffer = frame
            if kind == 1:
                self.hear(payload)
            elif kind == 9:
                self._write(0x8A, payload)
            elif kind == 8:
                self.closed = f"closed {payload[:2].hex()} {payload[2:]!r}"
                self.transport.close()

    def _shake(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self.buffer.startswith(b"HTTP/1.1 101"):
            self.closed = f"refused: {self.buffer[:200]!r}"
            self.transport.close()
            return False
        self.buffer = self.buffer[end + 4 :]
        self.opened.set_result(None)
        return True

    def say(self, document):
        if self.closed:
            raise ConnectionResetError(self.closed)
        self._write(0x81, orjson.dumps(document))

    def _write(self, first, payload):
        # A client must mask; a mask of zeros leaves the payload as it is and costs nothing.
        size = len(payload)
        if size < 126:
            head = bytes((first, 0x80 | size))
        elif size < 65536:
            head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
        self.transport.write(head + b"\0\0\0\0" + payload)

    def close(self):
        self.transport.close()


def take_frame(data):
    """(opcode, payload, rest) of the first whole frame a server sent; None while it is incomplete."""
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7F, 2
    if size == 126:
        size, at = int.from_bytes(data[2:4], "big"), 4
    elif size == 127:
        size, at = int.from_bytes(data[2:10], "big"), 10
    if len(data) < at + size or (at > 2 and len(data) < at):
        return None
    return data[0] & 0x0F, data[at : at + size], data[at + size :]
