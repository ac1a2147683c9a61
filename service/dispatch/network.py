"""TCP and TLS for httpcore2 straight from asyncio's transports.

What httpcore2 brings goes through anyio, which makes a cancel scope and a turn of the loop of every read and write: a
third of what a whole request costs. Only what the guard and the poster use is here.
"""

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore2

PAUSE_AT = 262_144
"""So many bytes may wait to be read before the other side is made to wait."""


@contextmanager
def _late(fault: type[httpcore2.TimeoutException]) -> Iterator[None]:
    """What took too long is told as httpcore2 tells it."""
    try:
        yield
    except TimeoutError as late:
        raise fault(str(late)) from late


class Network(httpcore2.AsyncNetworkBackend):
    """Connects to numeric addresses, or to names by the system's resolver."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connected stream. Raises `httpcore2.ConnectError` and `httpcore2.ConnectTimeout`."""
        loop = asyncio.get_running_loop()
        here = None if local_address is None else (local_address, 0)
        try:
            with _late(httpcore2.ConnectTimeout):
                async with asyncio.timeout(timeout):
                    transport, stream = await loop.create_connection(lambda: Stream(loop), host, port, local_addr=here)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return stream


class Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection. Reads and writes are one at a time, as HTTP/1.1 does them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._over = False
        self._fault: Exception | None = None
        self._reading: asyncio.Future[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands, or stands again inside TLS."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by name

    def data_received(self, data: bytes) -> None:
        """Keep it until it is asked for."""
        self._came += data
        if len(self._came) > PAUSE_AT and self._transport:
            self._transport.pause_reading()
        self._woken()

    def eof_received(self) -> bool:
        """The other side says no more; with that we are through, too."""
        self._over = True
        self._woken()
        return False

    def connection_lost(self, fault: Exception | None) -> None:
        """Whoever waits is told."""
        self._over, self._fault = True, fault
        self._flowing.set()
        self._woken()

    def pause_writing(self) -> None:
        """The other side takes nothing now."""
        self._flowing.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._flowing.set()

    def _woken(self) -> None:
        if self._reading and not self._reading.done():
            self._reading.set_result(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore2's
        """What has come, at most `max_bytes`; empty at the end. Raises `httpcore2.ReadError` and `ReadTimeout`."""
        if not self._came and not self._over:
            self._reading = self._loop.create_future()
            with _late(httpcore2.ReadTimeout):
                async with asyncio.timeout(timeout):
                    await self._reading
        if self._came:
            data = bytes(self._came[:max_bytes])
            del self._came[:max_bytes]
            if self._transport and len(self._came) <= PAUSE_AT and not self._over:
                self._transport.resume_reading()
            return data
        if self._fault:
            raise httpcore2.ReadError(str(self._fault)) from self._fault
        return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore2's
        """Hand it over, and wait while the other side takes nothing. Raises `httpcore2.WriteError`, `WriteTimeout`."""
        if self._transport is None or self._transport.is_closing():
            raise httpcore2.WriteError(str(self._fault or "the connection is closed"))
        self._transport.write(buffer)
        if not self._flowing.is_set():
            with _late(httpcore2.WriteTimeout):
                async with asyncio.timeout(timeout):
                    await self._flowing.wait()

    async def aclose(self) -> None:
        """Close it; what is still to be sent is dropped."""
        if self._transport:
            self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        """The stream inside TLS. Raises `httpcore2.ConnectError` and `httpcore2.ConnectTimeout`."""
        plain = cast("asyncio.Transport", self._transport)
        inside = self._loop.start_tls(plain, self, ssl_context, server_hostname=server_hostname)
        try:
            with _late(httpcore2.ConnectTimeout):
                async with asyncio.timeout(timeout):
                    self._transport = await inside
        except (OSError, ssl.SSLError) as error:
            await self.aclose()
            raise httpcore2.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`: something unasked came, or the end. Else what the transport says."""
        if info == "is_readable":
            return bool(self._came) or self._over
        return self._transport.get_extra_info(info) if self._transport else None
