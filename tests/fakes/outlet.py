"""A socket that keeps what was sent over it."""

import asyncio

import orjson


def frames_in(data):
    """The JSON objects of whole text messages, as a server sends them (RFC 6455, 5.2)."""
    frames = []
    while data:
        assert data[0] == 0x81
        size, head = data[1], 2
        if size == 126:
            size, head = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(data[2:10], "big"), 10
        frames.append(orjson.loads(data[head : head + size]))
        data = data[head + size :]
    return frames


class FakeOutlet:
    """Takes everything at once; `code` is what it was closed with. `news` is set whenever something came."""

    def __init__(self):
        self.sent = []
        self.code = None
        self.news = asyncio.Event()
        self.gone = asyncio.Event()

    def write(self, frames):
        assert self.code is None, "written after the good-bye"
        self.sent += frames_in(frames)
        self.news.set()

    def close(self, code, reason):
        assert len(reason.encode()) <= 123
        self.code = code
        self.gone.set()
