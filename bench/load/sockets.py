"""Calls of ours over the socket alone: create, (ack,) answer, hang-up, each told to both sides."""

import asyncio
from time import perf_counter

from bench.load.hookswitch import Person


class Pair:
    """Two people who call each other again and again."""

    def __init__(self, caller, callee, ringing):
        self.caller, self.callee, self.ringing = caller, callee, ringing
        self.count = 0

    async def cycle(self):
        caller, callee = self.caller, self.callee
        self.count += 1
        rang = callee.expect("ring", caller.user_id)
        created = caller.expect(f"create-{self.count}")
        dialled = perf_counter()
        caller.say("call.create", id=f"create-{self.count}", participants=[callee.user_id])
        await asyncio.wait((rang, created), return_when=asyncio.FIRST_EXCEPTION)
        heard, call = rang.result()
        created.result()
        if self.ringing:
            told = caller.expect("call.ringing", call)
            callee.say("call.ack", call_id=call)
            await told
        told = caller.expect("call.answered", call)
        callee.say("call.answer", call_id=call)
        await told
        ended = [side.expect("call.ended", call) for side in (caller, callee)]
        caller.say("call.hangup", call_id=call)
        for waiter in ended:
            await waiter
        return heard - dialled


class Crowd:
    def __init__(self, pairs):
        self.pairs = pairs

    async def close(self):
        for pair in self.pairs:
            pair.caller.close()
            pair.callee.close()


async def gather(config):
    """`{host, port, people: [[user_id, token], ...], ringing}`; every two neighbours are a pair."""
    people = [await Person.open(config["host"], config["port"], *person) for person in config["people"]]
    sides = zip(people[::2], people[1::2], strict=True)
    return Crowd([Pair(caller, callee, config["ringing"]) for caller, callee in sides])
