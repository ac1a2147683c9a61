"""Other people's webhook endpoints: `/ok/…` answers at once, `/hang/…` never. Remembers when which event arrived.

Arrivals are told by the system's clock, which is that of PostgreSQL on this machine.
"""

import asyncio
from time import time

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
ID = b"webhook-id: "
LENGTH = b"content-length: "


class Endpoint(asyncio.Protocol):
    """One connection to a receiver."""

    def __init__(self, crowd):
        self.crowd = crowd
        self.transport = None
        self.buffer = b""
        self.came = 0.0

    def connection_made(self, transport):
        self.transport = transport
        self.crowd.open.add(transport)

    def connection_lost(self, _exc):
        self.crowd.open.discard(self.transport)

    def data_received(self, data):
        if not self.buffer:
            self.came = time()
        self.buffer += data
        while request := take_request(self.buffer):
            hangs, event, self.buffer = request
            if hangs:
                self.crowd.hanging += 1
                return
            self.crowd.arrived.append((event, self.came))
            self.transport.write(OK)


def take_request(data):
    """(hangs, event id, rest) of the first whole request; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    length = int(after(head, LENGTH) or 0)
    if len(data) < end + 4 + length:
        return None
    return head.startswith(b"post /hang"), after(head, ID).decode(), data[end + 4 + length :]


def after(head, name):
    at = head.find(name)
    return b"" if at < 0 else head[at + len(name) :].split(b"\r\n", 1)[0]


class Crowd:
    """`pairs` is empty: nothing is played here."""

    def __init__(self):
        self.pairs = []
        self.open = set()
        self.arrived = []
        self.hanging = 0
        self.server = None

    async def do_listen(self):
        """Open the port; tells which one."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Endpoint(self), "127.0.0.1", 0, backlog=4096)
        return {"port": self.server.sockets[0].getsockname()[1]}

    async def do_take(self):
        """What arrived since it was asked last, as `[event id, seconds since the epoch]`; how many requests hang."""
        arrived, self.arrived = self.arrived, []
        return {"arrived": arrived, "hanging": self.hanging, "open": len(self.open)}

    async def close(self):
        self.server.close()
        for transport in list(self.open):
            transport.abort()


async def gather(_config):
    """`{}`."""
    return Crowd()
