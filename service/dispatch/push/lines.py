"""Requests to the providers that the operator chose, many at once on one connection where they speak HTTP/2.

When the other side ends it (GOAWAY) there is a new one. Each `key` has connections of its own, because Apple ties a
connection to the first signing key that it hears. Certificates are checked against those of the system, and `ca`
besides. Nothing is read from the environment, no redirect is followed. Addresses are not checked: what an app's backend
chose goes through the guard (dispatch/post.py).

The work is done outside Python: a request costs the loop some 30 µs, a tenth of what it costs there.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    Cause,
    ClientClosedError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestError,
)

from service.dispatch.push.answers import told

CONNECTING = "client error (Connect)"
"""What is among the causes when no connection was made."""


@dataclass(slots=True, frozen=True)
class LinesConfig:
    """Bounds; times in seconds. Not `only_http2`: what the server and we agree on; HTTP/1.1 where there is no TLS.

    A connection on which nothing has come for `ping_after_s`, though an answer is awaited, is asked whether it lives
    (PING), and given up when it does not say so within `ping_s`: routers forget idle connections without a word.
    An idle one is kept for `keep_s`; at most `most` keys have connections. Of an answer `longest_answer` bytes are
    read.
    """

    keep_s: float = 240.0
    ping_after_s: float = 0.5
    ping_s: float = 0.75
    most: int = 256
    longest_answer: int = 4_096
    only_http2: bool = True
    ca: bytes | None = None


@dataclass(slots=True, frozen=True)
class Answered:
    """What came back; header names are lowercase."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BrokenError(Exception):
    """No complete answer came. The text is one short line without the address that was asked.

    `reached`: a connection stood, so that the other side may have had the request.
    """

    def __init__(self, why: str, *, reached: bool) -> None:
        super().__init__(why)
        self.reached = reached

    @property
    def reason(self) -> str:
        """As a receipt says it: silence is no refusal, and nothing was sent where there was nobody."""
        return "no_answer" if self.reached else "no_connection"


class Lines:
    """The connections of one process."""

    def __init__(self, config: LinesConfig | None = None) -> None:
        self._config = config or LinesConfig()
        self._clients: OrderedDict[bytes, Client] = OrderedDict()

    async def post(self, key: bytes, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send `body` and wait for the answer; once more, on a new connection, when the connection breaks.

        Raises :class:`BrokenError`. The time is the caller's to limit; whoever gives up makes the next one use a new
        connection, because the other side may be there and yet never answer.
        """
        try:
            client = self._client(key)
        except PyreqwestError as error:
            raise BrokenError(_why(error), reached=False) from None
        try:
            return await self._posted(client, url, headers, body)
        except asyncio.CancelledError:
            self._leave(key, client)
            raise

    async def _posted(self, client: Client, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        try:
            return await self._once(client, url, headers, body)
        except PyreqwestError as first:
            if isinstance(first, ClientClosedError) or not isinstance(first, RequestError):
                raise BrokenError(_why(first), reached=_reached(first)) from None
            reached = _reached(first)
        try:
            # The other side may have had it: whoever asks makes such a request one that may come twice.
            return await self._once(client, url, headers, body)
        except PyreqwestError as second:
            raise BrokenError(_why(second), reached=reached or _reached(second)) from None

    async def _once(self, client: Client, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        request = client.post(url).headers(headers).body_bytes(body).build_streamed()
        async with request as response:
            read = await response.body_reader.read(self._config.longest_answer)
            return Answered(response.status, dict(response.headers.items()), read.to_bytes() if read else b"")

    async def close(self) -> None:
        """Let all connections go; what is under way ends."""
        while self._clients:
            _, client = self._clients.popitem()
            await client.close()

    def _client(self, key: bytes) -> Client:
        if key not in self._clients:
            if len(self._clients) >= self._config.most:
                self._clients.popitem(last=False)  # what is under way on it goes on
            self._clients[key] = self._made()
        self._clients.move_to_end(key)
        return self._clients[key]

    def _leave(self, key: bytes, client: Client) -> None:
        """Use this client for nothing new; what is under way on it goes on."""
        if self._clients.get(key) is client:
            del self._clients[key]

    def _made(self) -> Client:
        config = self._config
        builder = ClientBuilder().no_proxy().follow_redirects(enable=False)
        builder = builder.http2_prior_knowledge() if config.only_http2 else builder.http2(enable=True)
        builder = (
            builder.http2_keep_alive_interval(timedelta(seconds=config.ping_after_s))
            .http2_keep_alive_timeout(timedelta(seconds=config.ping_s))
            .pool_idle_timeout(timedelta(seconds=config.keep_s))
        )
        return (builder.add_root_certificate_pem(config.ca) if config.ca else builder).build()


def _reached(error: PyreqwestError) -> bool:
    """Whether the other side may have had the request: unless it is sure that no connection was made.

    `ConnectError` does not say so: connections that break later are called that, too.
    """
    return isinstance(error, RequestError) and not any(cause["message"] == CONNECTING for cause in _causes(error))


def _causes(error: PyreqwestError) -> list[Cause]:
    return (error.details["causes"] or []) if isinstance(error, DetailedPyreqwestError) else []


def _why(error: PyreqwestError) -> str:
    """The innermost cause: the others name the address, which is a device's secret."""
    causes = _causes(error)
    cause = causes[-1]["message"] if causes else ""
    return "the connection broke" if not cause or "://" in cause else told(cause)
