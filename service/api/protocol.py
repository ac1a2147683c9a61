"""uvicorn's HTTP/1.1 with one thing mended: an upgrade that is not taken up changes nothing (RFC 9110, 7.8).

Java's HTTP client offers HTTP/2 with every request that is not encrypted. The parser stops at such a header as if the
connection spoke another language from there on, and the body would be lost. Give it to uvicorn with `http=`.
"""

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OFFER = re.compile(rb"\r\nupgrade(?=:(?![ \t]*websocket[ \t]*\r\n))", re.IGNORECASE)
NAMELESS = b"\r\nignored"
"""As long as the name that it takes the place of."""
END_OF_HEAD = b"\r\n\r\n"


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 to which other offers than WebSocket mean nothing."""

    def data_received(self, data: bytes) -> None:
        """Hand on what came; a head comes in one piece, or in pieces that are cut between its lines."""
        super().data_received(declined(data) if b"pgrade" in data or b"PGRADE" in data else data)


def declined(data: bytes) -> bytes:
    """The same bytes without an offer in their head; a body is left alone."""
    head, end, body = data.partition(END_OF_HEAD)
    return OFFER.sub(NAMELESS, head + end) + body
