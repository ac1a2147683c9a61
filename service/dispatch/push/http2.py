"""Requests over HTTP/2: many at once on one connection, a new one whenever the other side ends it (GOAWAY).

Each `key` has connections of its own, because Apple ties a connection to the first signing key that it hears.
Certificates are checked against those of the system, and `ca` besides. Nothing is read from the environment, no
redirect is followed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ClientClosedError, DetailedPyreqwestError, PyreqwestError, RequestError

from service.dispatch.push.answers import told

LONGEST_ANSWER = 4_096
"""Bytes of an answer that are read."""


@dataclass(slots=True, frozen=True)
class LinesConfig:
    """Bounds; times in seconds.

    A connection on which nothing has come for `ping_after_s`, though an answer is awaited, is asked whether it lives
    (PING), and given up when it does not say so within `ping_s`: routers forget idle connections without a word.
    An idle one is kept for `keep_s`; at most `most` keys have connections.
    """

    keep_s: float = 240.0
    ping_after_s: float = 0.5
    ping_s: float = 0.75
    most: int = 256
    ca: bytes | None = None


@dataclass(slots=True, frozen=True)
class Answered:
    """What came back; header names are lowercase."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BrokenError(Exception):
    """No complete answer came. The text is one short line without the address that was asked."""


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
            raise BrokenError(_why(error)) from None
        try:
            try:
                return await _posted(client, url, headers, body)
            except ClientClosedError:
                raise
            except RequestError:
                # The other side may have had it: whoever asks makes such a request one that may come twice.
                return await _posted(client, url, headers, body)
        except PyreqwestError as error:
            raise BrokenError(_why(error)) from None
        except asyncio.CancelledError:
            self._leave(key, client)
            raise

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
        builder = ClientBuilder().no_proxy().follow_redirects(enable=False).http2_prior_knowledge()
        builder = (
            builder.http2_keep_alive_interval(timedelta(seconds=config.ping_after_s))
            .http2_keep_alive_timeout(timedelta(seconds=config.ping_s))
            .pool_idle_timeout(timedelta(seconds=config.keep_s))
        )
        return (builder.add_root_certificate_pem(config.ca) if config.ca else builder).build()


async def _posted(client: Client, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
    request = client.post(url).headers(headers).body_bytes(body).build_streamed()
    async with request as response:
        read = await response.body_reader.read(LONGEST_ANSWER)
        return Answered(response.status, dict(response.headers.items()), read.to_bytes() if read else b"")


def _why(error: PyreqwestError) -> str:
    """The innermost cause: the others name the address, which is a device's secret."""
    causes = error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None
    cause = causes[-1]["message"] if causes else ""
    return "the connection broke" if not cause or "://" in cause else told(cause)
