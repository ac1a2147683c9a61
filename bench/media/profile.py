"""Where a worker's time goes while twelve talk all to all: by function, and how much of it is the kernel's."""

import asyncio
import os
import signal

from bench.media.cores import kernel_share
from bench.media.scenarios import gather_in, scene_of
from bench.stacks import lines, parse

TOP = 20


async def profile(load, hookswitch, people, seconds):
    """Markdown lines."""
    folded = load.folder / "worker.folded"
    worker = await hookswitch.sampled(folded)
    async with hookswitch.room(worker) as room, scene_of(load, hookswitch) as scene:
        await gather_in(scene, room, people)
        await scene.settled()
        _, before = kernel_share(worker.pid)
        os.kill(worker.pid, signal.SIGUSR1)
        await asyncio.sleep(seconds)
        kernel, _ = kernel_share(worker.pid, before)
    await worker.close()
    head = [f"{kernel:.0%} of the worker's CPU is the kernel's, nearly all of it for sending datagrams.", ""]
    shares = parse(folded.read_text(encoding="utf-8"))
    return head + lines(shares, TOP, f"a worker while {people} talked all to all, taken by the CPU time that it used")
