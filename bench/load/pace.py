"""How calls are offered: in a closed loop (the next one when the last has ended) or at a rate of their own.

The loop's own clock ticks in whole milliseconds, so what is measured is measured by `perf_counter`.
"""

import asyncio
import random
from dataclasses import dataclass, field
from time import perf_counter

PATIENCE_S = 20
MOST_FAULTS = 20


@dataclass
class Tally:
    """What a run of calls came to; latencies in seconds."""

    started: float
    rings: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    ended: float = 0.0

    def summary(self):
        return {
            "cycles": len(self.rings),
            "seconds": self.ended - self.started,
            "rings": self.rings,
            "faults": len(self.faults),
            "first_fault": self.faults[0] if self.faults else None,
        }

    async def play(self, pair, waited=0.0):
        """One call of this pair; False when it failed."""
        try:
            ring = await pair.cycle()
        except asyncio.CancelledError:
            self.faults.append("a call did not come to its end")
            raise
        except Exception as error:  # noqa: BLE001 - any failure of a call is a figure of its own
            self.faults.append(f"{type(error).__name__}: {error}")
            return False
        self.rings.append(ring + waited)
        return True


async def closed(pairs, seconds):
    """Every pair calls again as soon as its call has ended, for `seconds`."""
    loop = asyncio.get_running_loop()
    tally = Tally(perf_counter())
    end = loop.time() + seconds

    async def keep_calling(pair):
        while loop.time() < end and len(tally.faults) < MOST_FAULTS:
            await tally.play(pair)

    await finish([asyncio.create_task(keep_calling(pair)) for pair in pairs], seconds + PATIENCE_S)
    tally.ended = perf_counter()
    return tally.summary()


async def offered(pairs, rate, seconds, seed=1):
    """Calls arrive at random with `rate` per second, whether or not earlier ones have ended.

    A call that found no pair free counts its waiting into the latency.
    """
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    tally = Tally(perf_counter())
    idle = asyncio.Queue()
    for pair in pairs:
        idle.put_nowait(pair)
    tasks = set()

    async def call(pair, waited):
        pair.waited = waited
        await tally.play(pair, waited)
        idle.put_nowait(pair)

    due = loop.time()
    end = due + seconds
    while (due := due + chance.expovariate(rate)) < end and len(tally.faults) < MOST_FAULTS:
        await asyncio.sleep(max(0.0, due - loop.time()))
        waited = 0.0
        if idle.empty():
            asked = perf_counter()
            pair = await asyncio.wait_for(idle.get(), PATIENCE_S)
            waited = perf_counter() - asked
        else:
            pair = idle.get_nowait()
        task = asyncio.create_task(call(pair, waited))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await finish(list(tasks), PATIENCE_S)
    tally.ended = perf_counter()
    return tally.summary()


async def finish(tasks, seconds):
    """Wait for all; what takes longer is cancelled."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
