"""How soon an offer is answered, and what an idle worker keeps."""

import asyncio
import time

from bench.media.client import Client
from bench.media.cores import cpu_ns, pss_kb
from bench.media.streams import Stream

TRIES = 10
IDLE_S = 2.0


def offering(load):
    return Client(load.slab, load.host, streams=(Stream(1, "audio"), Stream(2, "video")))


async def answer_ms(load, hookswitch):
    """Milliseconds from the wish for a room to its first answer: in a warm worker, and in one that is forked first."""
    return await _tried(load, hookswitch, forks=False), await _tried(load, hookswitch, forks=True)


async def _tried(load, hookswitch, *, forks):
    spent = []
    for _ in range(TRIES):
        client = offering(load)
        try:
            offer = await client.offer()
            began = time.perf_counter()
            handle = await hookswitch.fork() if forks else hookswitch.handle
            async with hookswitch.room(handle) as room:
                await room.answer("first", offer, "pub")
                spent.append((time.perf_counter() - began) * 1000)
        finally:
            client.close()
    return sorted(spent)[len(spent) // 2]


async def idle(hookswitch):
    """(PSS in MB, CPU in percent of a core) of a forked worker that has nothing to do."""
    handle = await hookswitch.fork()
    await asyncio.sleep(1)
    cpu, began = cpu_ns(handle.pid), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    return pss_kb(handle.pid) / 1024, (cpu_ns(handle.pid) - cpu) / 1e7 / (time.perf_counter() - began)
