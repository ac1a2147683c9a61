"""Calls over XMPP: Jingle message initiation (XEP-0353), every message kept in the archive (XEP-0313).

One cycle is propose, (ringing,) proceed, finish; each is seen by the other side before the next one is said.
"""

import asyncio
import base64
from time import perf_counter

STREAM = (
    "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
MESSAGE = (
    "<message to='{to}' id='{id}-{verb}' type='chat'>"
    "<{verb} xmlns='urn:xmpp:jingle-message:0' id='{id}'>{inside}</{verb}>"
    "<store xmlns='urn:xmpp:hints'/></message>"
)
MEDIA = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>"


class Person(asyncio.Protocol):
    """One XMPP client. `expect(verb, id)` gives a future of the arrival of that message."""

    def __init__(self, name, domain):
        self.name, self.domain = name, domain
        self.address = f"{name}@{domain}"
        self.buffer = ""
        self.transport = None
        self.wanted = []
        self.messages = {}

    @classmethod
    async def open(cls, host, port, name, domain, password):
        loop = asyncio.get_running_loop()
        _, person = await loop.create_connection(lambda: cls(name, domain), host, port)
        await person.say(STREAM.format(domain=domain), "</stream:features>")
        secret = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        await person.say(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>", "<success"
        )
        await person.say(STREAM.format(domain=domain), "</stream:features>")
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind>"
        await person.say(f"<iq type='set' id='b'>{bind}</iq>", "</iq>")
        await person.say("<presence/>", "<presence")
        return person

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        for waiter in [waiter for _, waiter in self.wanted] + list(self.messages.values()):
            if not waiter.done():
                waiter.set_exception(ConnectionResetError(f"{self.name}: {exc or 'closed'} {self.buffer[-300:]}"))

    def data_received(self, data):
        self.buffer += data.decode()
        while self.wanted and (at := self.buffer.find(self.wanted[0][0])) >= 0:
            text, waiter = self.wanted.pop(0)
            self.buffer = self.buffer[at + len(text) :]
            waiter.set_result(None)
        while (end := self.buffer.find("</message>")) >= 0:
            stanza, self.buffer = self.buffer[:end], self.buffer[end + 10 :]
            for word in self.messages:
                if word in stanza:
                    self.messages.pop(word).set_result(None)
                    break

    def say(self, text, answer):
        waiter = asyncio.get_running_loop().create_future()
        self.wanted.append((answer, waiter))
        self.transport.write(text.encode())
        return asyncio.wait_for(waiter, 10)

    def expect(self, verb, call):
        waiter = asyncio.get_running_loop().create_future()
        self.messages[f"id='{call}-{verb}'"] = waiter
        return waiter

    def tell(self, to, verb, call, inside=""):
        self.transport.write(MESSAGE.format(to=to, verb=verb, id=call, inside=inside).encode())


class Pair:
    """Two people who call each other again and again."""

    def __init__(self, number, caller, callee, ringing):
        self.number, self.caller, self.callee, self.ringing = number, caller, callee, ringing
        self.count = 0

    async def cycle(self):
        self.count += 1
        call = f"c{self.number}-{self.count}"
        arrived = self.callee.expect("propose", call)
        dialled = perf_counter()
        self.caller.tell(self.callee.address, "propose", call, MEDIA)
        await arrived
        ring = perf_counter() - dialled
        if self.ringing:
            await self._step(self.callee, self.caller, "ringing", call)
        await self._step(self.callee, self.caller, "proceed", call)
        await self._step(self.caller, self.callee, "finish", call)
        return ring

    async def _step(self, speaker, listener, verb, call):
        arrived = listener.expect(verb, call)
        speaker.tell(listener.address, verb, call)
        await arrived


class Crowd:
    def __init__(self, pairs):
        self.pairs = pairs

    async def close(self):
        for pair in self.pairs:
            pair.caller.transport.close()
            pair.callee.transport.close()


async def gather(config):
    """`{host, port, domain, password, first, pairs, ringing}`; the users u0, u1, ... exist."""
    people = [
        await Person.open(config["host"], config["port"], f"u{n}", config["domain"], config["password"])
        for n in range(config["first"], config["first"] + 2 * config["pairs"])
    ]
    sides = zip(people[::2], people[1::2], strict=True)
    return Crowd([Pair(n, caller, callee, config["ringing"]) for n, (caller, callee) in enumerate(sides)])
