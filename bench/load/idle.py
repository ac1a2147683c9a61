"""Many sockets that only stay connected, and one callee with several devices that ring at the same time."""

import asyncio
from time import perf_counter

from bench.load.hookswitch import Person
from bench.load.wires import WebSocket

TOGETHER = 50
PATIENCE_S = 10


class Crowd:
    """`pairs` is empty: nothing is played but what `do_fan_out` is asked for."""

    def __init__(self, config):
        self.config = config
        self.pairs = []
        self.sockets = []
        self.devices = []
        self.caller = None

    async def do_connect(self, people):
        """Connect these; `[user, token]` each for ours, None for the echo."""
        host, port = self.config["host"], self.config["port"]
        gate = asyncio.Semaphore(TOGETHER)

        async def connect(person):
            async with gate:
                if self.config["echo"]:
                    return await WebSocket.open(host, port, "/", "", len)
                return await Person.open(host, port, *person)

        began = perf_counter()
        self.sockets += await asyncio.gather(*(connect(person) for person in people))
        return {"seconds": perf_counter() - began, "connected": len(self.sockets)}

    async def do_ring_group(self, caller, callee, devices):
        """Connect a caller, and the callee on several devices."""
        host, port = self.config["host"], self.config["port"]
        self.caller = await Person.open(host, port, *caller)
        for number in range(devices):
            self.devices.append(await Person.open(host, port, *callee, device_id=f"device-{number}"))
        return {"devices": len(self.devices)}

    async def do_fan_out(self, times, pause):
        """Dial and cancel; seconds from the dial to the last device's ring, each time."""
        last = []
        for number in range(times):
            rings = [device.expect("ring", self.caller.user_id) for device in self.devices]
            dialled = perf_counter()
            self.caller.say("call.create", participants=[self.devices[0].user_id])
            heard = [await asyncio.wait_for(ring, PATIENCE_S) for ring in rings]
            last.append(max(at for at, _ in heard) - dialled)
            call = heard[0][1]
            ended = [person.expect("call.ended", call) for person in (self.caller, *self.devices)]
            self.caller.say("call.cancel", id=f"cancel-{number}", call_id=call)
            for waiter in ended:
                await asyncio.wait_for(waiter, PATIENCE_S)
            await asyncio.sleep(pause)
        return {"last": last}

    async def do_rest(self, seconds):
        """Stay connected; tells how many still are."""
        await asyncio.sleep(seconds)
        alive = [one for one in self.sockets if not (one.socket if isinstance(one, Person) else one).closed]
        return {"alive": len(alive)}

    async def close(self):
        for one in [*self.sockets, *self.devices, *([self.caller] if self.caller else [])]:
            one.close()


async def gather(config):
    """`{host, port, echo}`."""
    return Crowd(config)
