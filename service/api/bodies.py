"""Request bodies: read up to a limit, JSON or nothing."""

from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.api.errors import RefusedError
from service.api.strict import MalformedError, parse
from service.core.refusals import Code

LARGEST_BODY = 256 * 1_024
MOST_DRAINED = 16 * 1_024 * 1_024
"""What is read on and thrown away, so that a client that is still sending hears the 413 and not a broken connection."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


async def read_json(scope: Scope, receive: Receive) -> Any:
    """The body's data; an empty body is an empty object. Raises `RefusedError`."""
    raw = await read(scope, receive)
    if not raw:
        return {}
    if not _is_json(header(scope, b"content-type")):
        raise RefusedError(Code.INVALID_REQUEST, "the body must be sent as application/json")
    try:
        return parse(raw)
    except MalformedError as error:
        raise RefusedError(Code.INVALID_REQUEST, f"body: {error}") from None


async def read_text(scope: Scope, receive: Receive, content_type: str) -> str:
    """The body as text of exactly that kind, never empty.

    Raises `RefusedError` (`payload_too_large`, `unsupported_media_type`, `invalid_request`).
    """
    raw = await read(scope, receive)
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != content_type.encode():
        raise RefusedError(Code.UNSUPPORTED_MEDIA_TYPE, f"the body must be sent as {content_type}")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise RefusedError(Code.INVALID_REQUEST, "body: not valid UTF-8") from None
    if not text or "\x00" in text:
        raise RefusedError(Code.INVALID_REQUEST, "body: it is empty, or contains NUL")
    return text


def _is_json(content_type: bytes | None) -> bool:
    if content_type is None:
        return True
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


async def read(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises `RefusedError` (`payload_too_large`), however the length was announced."""
    announced = header(scope, b"content-length")
    too_large = announced is not None and announced.isdigit() and int(announced[:12]) > LARGEST_BODY
    if too_large and header(scope, b"expect") is not None:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LARGEST_BODY:
            too_large = True
            chunks.clear()
        elif chunk:
            chunks.append(chunk)
        if not message.get("more_body", False) or size > MOST_DRAINED:
            break
    if too_large:
        raise _too_large()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> RefusedError:
    return RefusedError(Code.PAYLOAD_TOO_LARGE, f"a body may have at most {LARGEST_BODY} bytes")
