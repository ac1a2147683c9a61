"""Connectivity checks by hand: aioice's STUN messages over a bare socket."""

import asyncio
import socket

from aioice import stun

PRIORITY = 1862270975


def request(ufrag, password, **attributes):
    """A check as a controlling client makes it; attributes are named as in aioice, with underscores for hyphens."""
    given = {name.replace("_", "-"): value for name, value in attributes.items()}
    message = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        attributes={"USERNAME": f"{ufrag}:them", "PRIORITY": PRIORITY, "ICE-CONTROLLING": 1, **given},
    )
    message.add_message_integrity(password.encode())
    return message


def without(message, *names):
    """The same message without these attributes, with a right fingerprint unless that is one of them."""
    for name in (*names, "FINGERPRINT"):
        message.attributes.pop(name, None)
    if "FINGERPRINT" not in names:
        message.add_fingerprint()
    return message


class Checker(asyncio.DatagramProtocol):
    """A socket that sends to a worker and keeps the answers."""

    def __init__(self, worker):
        self._worker = worker
        self.answers = asyncio.Queue()
        self._sock = self._transport = None

    async def open(self):
        loop = asyncio.get_running_loop()
        self._sock = socket.socket(socket.AF_INET6 if ":" in self._worker.host else socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.connect((self._worker.host, self._worker.mux.port))
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._sock)
        return self

    @property
    def source(self):
        return self._sock.getsockname()[:2]

    def datagram_received(self, data, addr):
        self.answers.put_nowait(data)

    def send(self, data):
        self._sock.send(bytes(data))  # asyncio would leave out empty ones

    async def ask(self, message):
        """The answer to a request, and only to that."""
        self.send(message)
        answer = stun.parse_message(await self.answers.get())
        assert answer.transaction_id == message.transaction_id
        return answer

    async def check(self, session, **attributes):
        ufrag, password = session.local
        answer = await self.ask(request(ufrag, password, **attributes))
        assert answer.check_message_integrity(password.encode())
        return answer

    def close(self):
        self._transport.close()
