"""Answers: JSON bytes with as little as possible in between."""

from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JSON = b"application/json"


class Reply(Response):
    """An answer of JSON data, or of bytes that are JSON already."""

    def __init__(
        self,
        data: Any,
        status: int = 200,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        content_type: bytes = JSON,
    ) -> None:
        self.status_code = status
        self.background = None
        self.body = data if isinstance(data, bytes) else orjson.dumps(data)
        self.raw_headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(self.body)).encode()),
            *headers,
        ]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def nothing() -> Reply:
    """204: done, and there is nothing to say."""
    reply = Reply(b"", 204)
    reply.raw_headers = []
    return reply


def page_of(texts: list[str], next_cursor: str | None) -> bytes:
    """A page of envelopes that are JSON already: they go out as they were sealed, byte for byte."""
    end = "null" if next_cursor is None else f'"{next_cursor}"'
    return ('{"items":[' + ",".join(texts) + '],"next_cursor":' + end + "}").encode()


def feed_page(texts: list[str], next_cursor: str | None, *, more: bool) -> bytes:
    """The same of a feed, which has no end: `next_cursor` is always there, and `more` says whether to go on at once."""
    return page_of(texts, next_cursor)[:-1] + (b',"more":true}' if more else b',"more":false}')
