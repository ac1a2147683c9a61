"""Calls over Matrix: m.call.invite, m.call.answer, m.call.hangup as events of a room, heard by long polling /sync.

Matrix has no event for "it rings", so a cycle is always the short one.
"""

import asyncio
import os
from time import perf_counter
from urllib.parse import quote

from bench.load.wires import Http

FILTER = quote('{"presence":{"types":[]},"room":{"timeline":{"limit":20},"ephemeral":{"types":[]}}}')
API = "/_matrix/client/v3"
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Person:
    """One user: a connection to say things, another one that listens."""

    def __init__(self, name):
        self.name = name
        self.token = ""
        self.id = ""
        self.room = ""
        self.mouth = self.ear = None
        self.wanted = {}
        self.listening = None

    @classmethod
    async def open(cls, host, port, name):
        person = cls(name)
        person.mouth, person.ear = await Http.open(host, port), await Http.open(host, port)
        wish = {"username": name, "password": "secret-of-the-bench", "auth": {"type": "m.login.dummy"}}
        account = await person.mouth.must("POST", f"{API}/register", wish)
        person.token, person.id = account["access_token"], account["user_id"]
        return person

    async def meet(self, other):
        made = await self.mouth.must(
            "POST", f"{API}/createRoom", {"preset": "trusted_private_chat", "invite": [other.id]}, self.token
        )
        self.room = other.room = quote(made["room_id"])
        await other.mouth.must("POST", f"{API}/rooms/{self.room}/join", {}, other.token)

    async def start_listening(self):
        first = await self.ear.must("GET", f"{API}/sync?timeout=0&filter={FILTER}", token=self.token)
        self.listening = asyncio.create_task(self._listen(first["next_batch"]))

    async def _listen(self, since):
        while True:
            path = f"{API}/sync?timeout=30000&since={since}&filter={FILTER}"
            news = await self.ear.must("GET", path, token=self.token)
            since = news["next_batch"]
            for room in news.get("rooms", {}).get("join", {}).values():
                for event in room["timeline"]["events"]:
                    waiter = self.wanted.pop((event["type"], event["content"].get("call_id")), None)
                    if waiter and not waiter.done():
                        waiter.set_result(None)

    def expect(self, kind, call):
        waiter = asyncio.get_running_loop().create_future()
        self.wanted[kind, call] = waiter
        return waiter

    async def say(self, kind, call, **more):
        content = {"call_id": call, "version": "1", "party_id": self.name, **more}
        path = f"{API}/rooms/{self.room}/send/{kind}/{kind}-{call}"
        await self.mouth.must("PUT", path, content, self.token)

    def close(self):
        if self.listening:
            self.listening.cancel()
        self.mouth.close()
        self.ear.close()


class Pair:
    def __init__(self, caller, callee):
        self.caller, self.callee = caller, callee

    async def cycle(self):
        call = f"{self.caller.name}-{os.urandom(6).hex()}"
        arrived = self.callee.expect("m.call.invite", call)
        dialled = perf_counter()
        offer = asyncio.create_task(
            self.caller.say("m.call.invite", call, lifetime=60000, offer={"type": "offer", "sdp": SDP})
        )
        await arrived
        ring = perf_counter() - dialled
        await offer
        told = self.caller.expect("m.call.answer", call)
        await self.callee.say("m.call.answer", call, answer={"type": "answer", "sdp": SDP})
        await told
        ended = self.callee.expect("m.call.hangup", call)
        await self.caller.say("m.call.hangup", call, reason="user_hangup")
        await ended
        return ring


class Crowd:
    def __init__(self, pairs):
        self.pairs = pairs

    async def close(self):
        for pair in self.pairs:
            pair.caller.close()
            pair.callee.close()


async def gather(config):
    """`{host, port, pairs}`; accounts and rooms are made here."""
    pairs = []
    run = os.urandom(3).hex()
    for number in range(config["pairs"]):
        caller = await Person.open(config["host"], config["port"], f"{run}a{number}")
        callee = await Person.open(config["host"], config["port"], f"{run}b{number}")
        await caller.meet(callee)
        pairs.append(Pair(caller, callee))
    for pair in pairs:
        await pair.caller.start_listening()
        await pair.callee.start_listening()
    return Crowd(pairs)
