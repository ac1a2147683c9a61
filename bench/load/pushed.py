"""Calls to people whose phones are asleep: dialled over the caller's socket, told by push, given up on."""

import asyncio
from time import perf_counter

from bench.load import pace
from bench.load.hookswitch import Person

BLIND_S = 0.3
"""For so long a call lasts whose push nobody waits for."""


class Pair:
    """A caller on a socket and somebody whose device is woken by push. `awaits`: the caller waits for the push.

    `waited` are the seconds for which a dial waited for a pair that was free; they count as its own.
    """

    def __init__(self, caller, callee, *, awaits):
        self.caller, self.callee, self.awaits = caller, callee, awaits
        self.count, self.waited = 0, 0.0
        self.dials = []

    async def cycle(self):
        """Dial, wait for what the provider says of the push, give up; gives the seconds until the dial was answered."""
        caller = self.caller
        self.count += 1
        created = caller.expect(f"create-{self.count}")
        dialled = perf_counter()
        caller.say("call.create", id=f"create-{self.count}", participants=[self.callee])
        call = (await created)["call"]["id"]
        answered = perf_counter() - dialled
        if self.awaits:
            told = caller.expect("notification.sent", call)
            await asyncio.wait_for(told, pace.PATIENCE_S)
            self.dials.append((call, dialled - self.waited, perf_counter()))
        else:
            await asyncio.sleep(BLIND_S)
        ended = caller.expect("call.ended", call)
        caller.say("call.cancel", id=f"cancel-{self.count}", call_id=call)
        await asyncio.wait_for(ended, pace.PATIENCE_S)
        return answered


class Crowd:
    """`pairs` are those whose pushes are measured; the others, by name, only call."""

    def __init__(self, pairs, others):
        self.pairs, self.others = pairs, others

    async def do_pushed(self, rate, seconds, beside=None, beside_rate=0):
        """`rate` calls a second, and meanwhile `beside_rate` of those named; `dials`: (call, dialled, told)."""
        plays = [pace.offered(self.pairs, rate, seconds)]
        if beside:
            plays.append(pace.offered(self.others[beside], beside_rate, seconds, seed=2))
        ours, *theirs = await asyncio.gather(*plays)
        dials = [dial for pair in self.pairs for dial in pair.dials]
        for pair in self.pairs:
            pair.dials.clear()
        return {"ours": ours, "theirs": theirs[0] if theirs else None, "dials": dials}

    async def close(self):
        for pair in (*self.pairs, *(pair for pairs in self.others.values() for pair in pairs)):
            pair.caller.close()


async def gather(config):
    """`{host, port, pairs: [[[user_id, token], callee], ...], others: {name: as pairs}}`."""

    async def met(pairs, *, awaits):
        return [
            Pair(await Person.open(config["host"], config["port"], *caller), callee, awaits=awaits)
            for caller, callee in pairs
        ]

    others = {name: await met(pairs, awaits=False) for name, pairs in config["others"].items()}
    return Crowd(await met(config["pairs"], awaits=True), others)
