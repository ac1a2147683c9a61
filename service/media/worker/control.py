"""The channel between service and worker: frames of JSON behind their length, over a socket that both ends inherited.

A frame is four bytes (big endian) that tell how many follow, and one JSON object. Who sends a frame that is too long
has lost its place in the stream: nothing after it can be trusted, so the channel ends there.
"""

import asyncio
from asyncio import Protocol as StreamProtocol  # no typing.Protocol, in spite of its name
from collections.abc import Callable, Iterator
from typing import cast

import msgspec

VERSION = 2
"""Of this protocol; service and worker of different versions do not talk (a worker may outlive its service)."""
LONGEST_FRAME = 1024 * 1024
MOST_UNSENT = 8 * 1024 * 1024
"""Bytes that wait for a peer which does not read; beyond, the channel ends."""
HEADER = 4
GONE = "the other end is gone"


class ChannelError(Exception):
    """The other end does not keep to the protocol; the message says how."""


def framed(message: msgspec.Struct) -> bytes:
    """The message as one frame. Raises :class:`ChannelError` when it is too long to be taken at the other end."""
    body = msgspec.json.encode(message)
    if len(body) > LONGEST_FRAME:
        detail = f"a frame of {len(body)} bytes is longer than {LONGEST_FRAME}"
        raise ChannelError(detail)
    return len(body).to_bytes(HEADER, "big") + body


class Frames:
    """Cuts a stream of bytes into the bodies of its frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies completed by these bytes. Raises :class:`ChannelError` at a length that cannot be right."""
        held = self._held
        held += data
        while len(held) >= HEADER:
            end = HEADER + int.from_bytes(held[:HEADER], "big")
            if not HEADER < end <= HEADER + LONGEST_FRAME:
                detail = f"a frame of {end - HEADER} bytes (1 to {LONGEST_FRAME} are taken)"
                raise ChannelError(detail)
            if len(held) < end:
                return
            body = bytes(held[HEADER:end])
            del held[:end]
            yield body


class Channel(StreamProtocol):
    """One end. `take` gets every frame's body and may raise :class:`ChannelError`; `lost` is told once, and why."""

    def __init__(self, take: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._take = take
        self._lost: Callable[[str], None] | None = lost
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    @property
    def open(self) -> bool:
        """Whether what is sent can still arrive."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: msgspec.Struct) -> None:
        """Send a message; to a channel that has ended it goes nowhere. Raises :class:`ChannelError`: too long."""
        frame = framed(message)
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            self._end("the other end does not read")

    @property
    def unsent(self) -> int:
        """Bytes that wait for the other end."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def close(self) -> None:
        """End it, behind what was sent; nobody is told."""
        self._lost = None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._take(body)
        except ChannelError as error:
            self._end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(f"{GONE}: {exc}" if exc else GONE)

    def _end(self, why: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._tell(why)

    def _tell(self, why: str) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(why)
