"""Calls of ours with commands over REST; both sides hear of them on their sockets."""

import asyncio
from time import perf_counter

from bench.load import sockets
from bench.load.hookswitch import Person
from bench.load.wires import Http


class Pair(sockets.Pair):
    """As over the socket, but each side has an HTTP connection for what it says."""

    def __init__(self, caller, callee, ringing, lines):
        super().__init__(caller, callee, ringing)
        (self.caller_line, self.caller_token), (self.callee_line, self.callee_token) = lines

    async def cycle(self):
        caller, callee = self.caller, self.callee
        rang = callee.expect("ring", caller.user_id)
        dialled = perf_counter()
        made = asyncio.ensure_future(
            self.caller_line.must("POST", "/v1/calls", {"participants": [callee.user_id]}, self.caller_token)
        )
        await asyncio.wait((rang, made), return_when=asyncio.FIRST_EXCEPTION)
        made.result()
        heard, call = rang.result()
        if self.ringing:
            told = caller.expect("call.ringing", call)
            await self.callee_line.must("POST", f"/v1/calls/{call}/ack", {}, self.callee_token)
            await told
        told = caller.expect("call.answered", call)
        await self.callee_line.must("POST", f"/v1/calls/{call}/answer", {"device_id": "phone"}, self.callee_token)
        await told
        ended = [side.expect("call.ended", call) for side in (caller, callee)]
        await self.caller_line.must("POST", f"/v1/calls/{call}/hangup", {}, self.caller_token)
        for waiter in ended:
            await waiter
        return heard - dialled


class Crowd(sockets.Crowd):
    async def close(self):
        await super().close()
        for pair in self.pairs:
            pair.caller_line.close()
            pair.callee_line.close()


async def gather(config):
    """As `bench.load.sockets.gather`."""
    host, port = config["host"], config["port"]
    people = [await Person.open(host, port, *person) for person in config["people"]]
    lines = [(await Http.open(host, port), token) for _, token in config["people"]]
    sides = zip(people[::2], people[1::2], lines[::2], lines[1::2], strict=True)
    return Crowd([Pair(a, b, config["ringing"], (x, y)) for a, b, x, y in sides])
