"""One POST to somebody else's server: guarded, bounded in time and size, without redirects, proxies or credentials.

It is built on httpcore2's connections rather than on a client, because a client's comforts (redirects, proxies from
the environment, cookies, decompression) are exactly what must not happen here.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from urllib.parse import SplitResult

import httpcore2

from service.dispatch.guard import ForbiddenAddressError, Guard
from service.wire.retry_after import retry_after_s
from service.wire.urls import check_url

FIXED: Mapping[str, str] = MappingProxyType({"user-agent": "Hookswitch/1", "content-type": "application/json"})
"""Headers of every request, unless whoever sends it has others."""
LONGEST_ERROR = 300
SWEEP_S = 5.0
NO_ANSWER = (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError)
"""How a connection that the other side closed while it was idle fails."""


@dataclass(slots=True, frozen=True)
class PostConfig:
    """Bounds of a request: seconds in all, bytes of the answer that are read, seconds an idle connection is kept.

    `keep_s` stays below the five seconds after which common servers close an idle connection.
    """

    timeout_s: float = 15.0
    answer_bytes: int = 65_536
    keep_s: float = 4.0
    most_kept: int = 256
    allow_private: bool = False


@dataclass(slots=True, frozen=True)
class Answer:
    """What came back. `status` is `None` when no complete answer came; `error` says why it is no success.

    `headers` by their names in small letters; `body` as far as it was read. `forbidden`: nothing was sent, because the
    URL or all its addresses are such as must not be called.
    """

    status: int | None
    error: str | None
    latency_ms: int
    retry_after_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    forbidden: bool = False

    @property
    def ok(self) -> bool:
        """Whether the receiver took it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Poster:
    """Sends requests; keeps idle connections for a moment, each for its own origin.

    A `Retry-After` date is read by `clock` where the receiver does not tell its own; without a clock it is not heeded.
    """

    def __init__(
        self,
        guard: Guard,
        config: PostConfig,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._guard = guard
        self._config = config
        self._clock = clock
        self._tls = tls or httpcore2.default_ssl_context()
        self._kept: dict[httpcore2.AsyncHTTPConnection, str] = {}
        self._by_origin: dict[str, list[httpcore2.AsyncHTTPConnection]] = {}
        self._sweep_at = 0.0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send `body` to `url`. Raises nothing: every fault is an `Answer` without success."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        forbidden = False
        try:
            request = _request(check_url(url, allow_private=self._config.allow_private), headers, body)
            async with asyncio.timeout(self._config.timeout_s):
                response, read = await self._send(request)
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(
                response.status,
                _why_no_success(response),
                round((loop.time() - began) * 1000),
                retry_after_s(told, self._clock() if self._clock else None),
                told,
                read,
            )
        except TimeoutError:
            error = f"no complete answer within {self._config.timeout_s:g} s"
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, ValueError) as fault:
            error = _told(fault)
            forbidden = isinstance(fault, ForbiddenAddressError | ValueError)
        return Answer(None, error, round((loop.time() - began) * 1000), forbidden=forbidden)

    async def _send(self, request: httpcore2.Request) -> tuple[httpcore2.Response, bytes]:
        origin = request.url.origin
        if kept := await self._take(str(origin)):
            try:
                return await self._exchange(kept, request)
            except NO_ANSWER:
                # It was closed while idle; the request goes out once more, on a connection of its own.
                await kept.aclose()
        return await self._exchange(self._connection(origin), request)

    def _connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTPConnection:
        return httpcore2.AsyncHTTPConnection(
            origin,
            ssl_context=self._tls,
            keepalive_expiry=self._config.keep_s,
            network_backend=self._guard,
        )

    async def _exchange(
        self, connection: httpcore2.AsyncHTTPConnection, request: httpcore2.Request
    ) -> tuple[httpcore2.Response, bytes]:
        """One request, its answer and what was read of it; the connection is kept if it is still good, else closed."""
        response = await connection.handle_async_request(request)
        read = bytearray()
        try:
            async with aclosing(response.aiter_stream()) as chunks:
                async for chunk in chunks:
                    read += chunk
                    if len(read) >= self._config.answer_bytes:
                        break
        finally:
            await response.aclose()
        if connection.is_idle():
            await self._keep(str(request.url.origin), connection)
        return response, bytes(read)

    async def _take(self, origin: str) -> httpcore2.AsyncHTTPConnection | None:
        """The most recently used idle connection of the origin that still lives."""
        while connections := self._by_origin.get(origin):
            connection = connections[-1]
            self._drop(connection)
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _keep(self, origin: str, connection: httpcore2.AsyncHTTPConnection) -> None:
        self._kept[connection] = origin
        self._by_origin.setdefault(origin, []).append(connection)
        if len(self._kept) > self._config.most_kept:
            oldest = next(iter(self._kept))
            self._drop(oldest)
            await oldest.aclose()

    def _drop(self, connection: httpcore2.AsyncHTTPConnection) -> None:
        origin = self._kept.pop(connection)
        connections = self._by_origin[origin]
        connections.remove(connection)
        if not connections:
            del self._by_origin[origin]

    async def sweep(self) -> None:
        """Close idle connections that nobody came back for; call it now and then."""
        for connection in [kept for kept in self._kept if kept.has_expired()]:
            if connection in self._kept:
                self._drop(connection)
                await connection.aclose()

    async def sweep_now_and_then(self) -> None:
        """Sweep, unless that was a moment ago: for who has no other occasion than its requests."""
        at = asyncio.get_running_loop().time()
        if at >= self._sweep_at:
            self._sweep_at = at + SWEEP_S
            await self.sweep()

    async def close(self) -> None:
        """Close all idle connections."""
        while self._kept:
            connection = next(iter(self._kept))
            self._drop(connection)
            await connection.aclose()


def _request(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> httpcore2.Request:
    host = (parts.hostname or "").removesuffix(".")
    name = f"[{host}]" if ":" in host else host
    told = {
        "host": name if parts.port is None else f"{name}:{parts.port}",
        "accept": "*/*",
        **FIXED,
        "content-length": str(len(body)),
        **headers,
    }
    return httpcore2.Request(
        "POST",
        httpcore2.URL(
            scheme=parts.scheme,
            host=host,
            port=parts.port,
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        ),
        headers=[(key.encode(), value.encode()) for key, value in told.items()],
        content=body,
    )


def _why_no_success(response: httpcore2.Response) -> str | None:
    if 200 <= response.status < 300:
        return None
    if 300 <= response.status < 400:
        return f"answered {response.status}; redirects are not followed"
    return f"answered {response.status}"


def _told(fault: Exception) -> str:
    """A fault in a few plain words, fit for the database."""
    if isinstance(fault, ForbiddenAddressError):
        kind = "forbidden address"
    elif isinstance(fault, httpcore2.ConnectError):
        kind = "no connection"
    elif isinstance(fault, ValueError):
        kind = "refused URL"
    else:
        kind = "no answer"
    detail = " ".join(str(fault).replace("\0", "").split())
    return (f"{kind}: {detail}" if detail else kind)[:LONGEST_ERROR]
