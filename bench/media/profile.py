"""Where a worker's time goes while it carries a load: by function (py-spy), and how much of it is the kernel's."""

import asyncio
import sys
from pathlib import Path

from bench.media.cores import kernel_share
from bench.media.scenarios import fanned_out
from bench.stacks import lines, parse

TOP = 15
SPY = Path(sys.executable).parent / "py-spy"


async def profile(load, hookswitch, forwards, seconds):
    """Markdown lines."""
    if not SPY.exists():
        return ["py-spy is not installed."]
    folded = load.folder / "worker.folded"
    async with fanned_out(load, hookswitch, forwards // 10):
        _, before = kernel_share(hookswitch.pid)
        words = ["record", "--pid", str(hookswitch.pid), "--format", "raw", "--rate", "250", "--nonblocking"]
        words += ["--duration", str(round(seconds)), "--output", str(folded)]
        spy = await asyncio.create_subprocess_exec(
            SPY, *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, said = await spy.communicate()
        kernel, _ = kernel_share(hookswitch.pid, before)
    if spy.returncode:
        return [f"py-spy could not look: {said.decode(errors='replace').strip()[-200:]}"]
    head = [f"{kernel:.0%} of the worker's CPU is the kernel's (sending and receiving datagrams).", ""]
    return head + lines(parse(folded.read_text(encoding="utf-8")), TOP, "the worker while it fanned out")
