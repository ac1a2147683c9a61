"""What the service reaches out to in the play: an HTTP server on a free port of this machine, as small as can be."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """What came in; the names of `headers` are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Request], Awaitable[tuple[int, bytes]]]
"""What to say to a request: a status, and JSON or nothing."""


class _Quiet(uvicorn.Server):
    """Leaves Ctrl-C to the play."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Endpoint:
    """Listens while it is entered; `url` is known from then on."""

    def __init__(self, answer: Answer) -> None:
        self._answered = answer
        self._server = _Quiet(
            uvicorn.Config(self._serve, interface="asgi3", port=0, log_config=None, access_log=False, lifespan="off")
        )
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        socket = self._server.config.bind_socket()
        self.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        self._task = asyncio.create_task(self._server.serve(sockets=[socket]), name=f"endpoint at {self.url}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        status, said = await self._answered(Request(scope["path"], headers, body))
        form = [(b"content-type", b"application/json")] if said else []
        await send({"type": "http.response.start", "status": status, "headers": form})
        await send({"type": "http.response.body", "body": said})
