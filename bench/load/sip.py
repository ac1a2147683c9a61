"""Calls over SIP (RFC 3261) on UDP, through a stateful proxy that stays in the path.

One cycle: INVITE, (180,) 200, ACK, BYE, 200; each is seen by the other side before the next one is sent.
"""

import asyncio
import itertools
import os
from time import perf_counter

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
)
COPIED = ("via", "from", "call-id", "cseq", "record-route")


class Message:
    """A SIP message: first line and headers, names in lower case, values in their order."""

    def __init__(self, data):
        head = data.split(b"\r\n\r\n", 1)[0].decode()
        self.first, *lines = head.split("\r\n")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip())

    @property
    def kind(self):
        """The method of a request; status code and method of a response, as `200 INVITE`."""
        if self.first.startswith("SIP/2.0"):
            return f"{self.first[8:11]} {self.one('cseq').split()[1]}"
        return self.first.split(" ", 1)[0]

    def one(self, name):
        return self.headers[name][0]


class Phone(asyncio.DatagramProtocol):
    """One registered user agent on a port of its own."""

    def __init__(self, name, proxy):
        self.name, self.proxy = name, proxy
        self.transport = None
        self.port = None
        self.wanted = {}
        self.branch = itertools.count(int.from_bytes(os.urandom(5), "big"))

    @classmethod
    async def open(cls, name, proxy):
        loop = asyncio.get_running_loop()
        _, phone = await loop.create_datagram_endpoint(lambda: cls(name, proxy), local_addr=("127.0.0.1", 0))
        done = phone.expect("200 REGISTER", f"register-{name}")
        domain = f"127.0.0.1:{proxy[1]}"
        phone.send(
            f"REGISTER sip:{domain}",
            f"From: <{phone.address}>;tag=r\r\nTo: <{phone.address}>\r\nCall-ID: register-{name}\r\n"
            f"CSeq: 1 REGISTER\r\nContact: <{phone.contact}>\r\nExpires: 3600",
        )
        await asyncio.wait_for(done, 5)
        return phone

    @property
    def address(self):
        return f"sip:{self.name}@127.0.0.1:{self.proxy[1]}"

    @property
    def contact(self):
        return f"sip:{self.name}@127.0.0.1:{self.port}"

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, _address):
        message = Message(data)
        waiter = self.wanted.pop((message.kind, message.one("call-id")), None)
        if waiter and not waiter.done():
            waiter.set_result(message)

    def expect(self, kind, call):
        waiter = asyncio.get_running_loop().create_future()
        self.wanted[kind, call] = waiter
        return waiter

    def send(self, first, headers, body=""):
        via = f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{self.name}x{next(self.branch)}"
        content = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{first} SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\n{headers}\r\n{content}Content-Length: {len(body)}\r\n\r\n"
        )
        self.transport.sendto((text + body).encode(), self.proxy)

    def respond(self, request, status, body=""):
        lines = [f"{name}: {value}" for name in COPIED for value in request.headers.get(name, ())]
        to = request.one("to")
        lines.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag=t{self.name}")
        lines.append(f"Contact: <{self.contact}>")
        content = "Content-Type: application/sdp\r\n" if body else ""
        text = f"SIP/2.0 {status}\r\n" + "\r\n".join(lines) + f"\r\n{content}Content-Length: {len(body)}\r\n\r\n{body}"
        self.transport.sendto(text.encode(), self.proxy)


class Pair:
    """Two phones that call each other again and again."""

    def __init__(self, number, caller, callee, ringing):
        self.number, self.caller, self.callee, self.ringing = number, caller, callee, ringing
        self.count = int.from_bytes(os.urandom(5), "big")  # the proxy remembers calls of earlier runs for a while

    async def cycle(self):
        self.count += 1
        call = f"c{self.number}-{self.count}"
        caller, callee = self.caller, self.callee
        who = f"From: <{caller.address}>;tag=f\r\nCall-ID: {call}\r\nContact: <{caller.contact}>"
        arrived = callee.expect("INVITE", call)
        dialled = perf_counter()
        caller.send(f"INVITE {callee.address}", f"{who}\r\nTo: <{callee.address}>\r\nCSeq: 1 INVITE", SDP)
        invite = await arrived
        ring = perf_counter() - dialled
        if self.ringing:
            told = caller.expect("180 INVITE", call)
            callee.respond(invite, "180 Ringing")
            await told
        told = caller.expect("200 INVITE", call)
        callee.respond(invite, "200 OK", SDP)
        answer = await told
        routes = "".join(f"Route: {route}\r\n" for route in reversed(answer.headers.get("record-route", ())))
        inside = f"{routes}{who}\r\nTo: {answer.one('to')}\r\n"
        target = answer.one("contact").strip("<>")
        acknowledged = callee.expect("ACK", call)
        caller.send(f"ACK {target}", f"{inside}CSeq: 1 ACK")
        await acknowledged
        ended, told = callee.expect("BYE", call), caller.expect("200 BYE", call)
        caller.send(f"BYE {target}", f"{inside}CSeq: 2 BYE")
        callee.respond(await ended, "200 OK")
        await told
        return ring


class Crowd:
    def __init__(self, pairs):
        self.pairs = pairs

    async def close(self):
        for pair in self.pairs:
            pair.caller.transport.close()
            pair.callee.transport.close()


async def gather(config):
    """`{host, port, pairs, ringing}`: where the proxy listens on UDP."""
    proxy = (config["host"], config["port"])
    people = [await Phone.open(f"u{n}", proxy) for n in range(2 * config["pairs"])]
    sides = zip(people[::2], people[1::2], strict=True)
    return Crowd([Pair(n, caller, callee, config["ringing"]) for n, (caller, callee) in enumerate(sides)])
