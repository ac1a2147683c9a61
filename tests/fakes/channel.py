"""A channel that answers by a script and keeps what it was given. The contract suite holds it to the real ones."""

import asyncio
from collections import deque

from service.dispatch.push.channel import Outcome, Receipt
from service.store.checkup import Finding

TAKEN = Receipt(Outcome.TAKEN, status=200, provider_id="fake-1")


class FakeChannel:
    """`script` holds receipts, faults, or events to wait for before a notice is taken; empty, it takes all."""

    def __init__(self, *script):
        self.script = deque(script)
        self.sent = []
        self.granted = []
        self.arrived = asyncio.Event()
        self.closed = False

    async def send(self, notice, granted, now):
        self.sent.append(notice)
        self.granted.append(granted)
        self.arrived.set()
        step = self.script.popleft() if self.script else TAKEN
        if isinstance(step, asyncio.Event):
            await step.wait()
            step = TAKEN
        if isinstance(step, Exception):
            raise step
        return step

    async def check(self, granted, now):
        step = self.script.popleft() if self.script else TAKEN
        return Finding(f"the fake says {step.detail or step.outcome}", fault=not step.taken)

    async def close(self):
        self.closed = True

    @property
    def kinds(self):
        """What was sent to whom, as `kind token-or-address`."""
        return [f"{notice.kind} {_to(notice.address)}" for notice in self.sent]


def _to(address):
    return address.push["token"] if address.push else address.phone or address.email or address.user_id
