"""`python -m bench.media.run '{"rounds": 3, …}'`: all media measurements in this network namespace, told as JSON.

The bench starts it; see bench/figures/media.py. What it says meanwhile goes to the error output.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import uvloop

from bench.media import limit, scenarios, starts
from bench.media.cores import FORWARDER, LOAD, forwarder_core, load_core, pss_kb
from bench.media.elsewhere import Elsewhere
from bench.media.hookswitch import Hookswitch
from bench.media.janus import Janus
from bench.media.profile import profile
from bench.media.recorded import Recorded
from bench.media.relay import Relay
from bench.media.scene import DisturbedError
from bench.media.slab import Slab

OURS = "hookswitch"
TRIES = 3
DISTURBED = 0.01
BUSY = 0.9
MEANING = "withheld: by its estimate of the path; dropped, unsent: by the load, which was too slow"


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Times in seconds, rates in packets per second."""

    rounds: int = 3
    people: int = 12
    seconds: float = 5.0
    fan_out: int = 15_000
    first_rate: int = 60_000
    rate_s: float = 2.0
    joins_a_second: int = 20
    calls: int = 10
    only: tuple = ()
    peers: bool = True
    host: str = "127.0.0.1"


@dataclass
class Load:
    """What all scenarios share."""

    slab: Slab
    host: str
    folder: Path
    began: float = field(default_factory=time.monotonic)

    def say(self, text):
        print(f"[media {time.monotonic() - self.began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def elsewhere(self):
        return Elsewhere.open(self.host)


class Run:
    """One run. `samples` are figures by name and by forwarder, one for each round."""

    def __init__(self, load, sizes):
        self.load = load
        self.sizes = sizes
        self.samples = defaultdict(lambda: defaultdict(list))
        self.notes = []
        self.profile = []
        self._folders = 0

    def keep(self, forwarder, **figures):
        for name, value in figures.items():
            self.samples[name][forwarder].append(value)

    def tell(self, forwarder, what, measured):
        """Say it, and note what should not have happened."""
        m = measured
        self.load.say(
            f"{forwarder}: {what}: {m.rate:,.0f} forwards/s, {m.cpu_us:.2f} us each, {m.cpu_percent:.1f} % of a core,"
            f" {m.lost} lost, p50 {m.p50_us:.0f} p99 {m.p99_us:.0f} us, load {m.load_cpu_s / m.seconds:.0%}"
        )
        told = ("withheld", "duplicates", "breaks", "refused", "damaged", "dropped", "unsent")
        if odd := ", ".join(f"{asdict(m)[name]} {name}" for name in told if asdict(m)[name]):
            self.note(f"{forwarder}, {what}: {odd} ({MEANING})")
        if m.loss > DISTURBED:
            raise DisturbedError(f"{m.loss:.1%} of the packets were lost")

    def note(self, text):
        self.notes.append(text)
        self.load.say(text)

    @contextlib.asynccontextmanager
    async def forwarder(self, name):
        """A fresh one, on its own core."""
        self._folders += 1
        folder, host = self.load.folder / f"{name}{self._folders}", self.load.host
        made = {OURS: lambda: Hookswitch(folder, host), "Janus": lambda: Janus(folder, host), "MediaRelay": Relay}
        forwarder = made[name]()
        try:
            with forwarder_core():
                await forwarder.start()
            yield forwarder
        finally:
            await forwarder.stop()

    async def all(self):
        names = [OURS, *(["Janus"] if self.sizes.peers else [])]
        steps = {
            "twelve": (self.twelve, names),
            "fan": (self.fan, names),
            "rate": (self.rate, names),
            "joins": (self.joins, names),
            "calls": (self.calls, names),
            "added": (self.added, [OURS, *(["MediaRelay"] if self.sizes.peers else [])]),
            "starts": (self.starts, names),
        }
        for step, (measure, who) in steps.items():
            if self.sizes.only and step not in self.sizes.only:
                continue
            for number in range(self.sizes.rounds):
                for name in who:
                    self.load.say(f"{step}, round {number + 1}: {name}")
                    await self.guarded(name, step, measure)
            if step in {"fan", "rate"}:
                await self.bare(step)
        if not self.sizes.only or "profile" in self.sizes.only:
            await self.guarded(OURS, "profile", self.profiled)

    async def guarded(self, name, step, measure):
        """A round that the machine disturbed is played again, a few times."""
        try:
            for left in reversed(range(TRIES)):
                async with asyncio.timeout(180), self.forwarder(name) as forwarder:
                    with contextlib.nullcontext() if left == 0 else contextlib.suppress(DisturbedError):
                        return await measure(forwarder)
        except Exception as error:  # noqa: BLE001 - the other figures still count
            traceback.print_exc()
            text = str(error).splitlines()[0] if str(error) else ""
            self.note(f"{step} of {name} could not be measured: {type(error).__name__} {text}")
        return None

    async def twelve(self, forwarder):
        m = await scenarios.all_to_all(self.load, forwarder, self.sizes.people, self.sizes.seconds)
        self.tell(forwarder.name, f"{self.sizes.people} all to all", m)
        self.keep(
            forwarder.name,
            twelve_cpu_us=m.cpu_us,
            twelve_cpu=m.cpu_percent,
            twelve_lost=m.lost,
            twelve_withheld=m.withheld,
            twelve_rate=m.rate,
            twelve_p50_us=m.p50_us,
            twelve_pss_mb=pss_kb(forwarder.pid) / 1024,
        )

    async def fan(self, forwarder):
        m = await scenarios.fan_out(self.load, forwarder, self.sizes.fan_out, self.sizes.seconds)
        self.tell(forwarder.name, "one to ten", m)
        self.keep(forwarder.name, fan_cpu_us=m.cpu_us, fan_p50_us=m.p50_us, fan_p99_us=m.p99_us, fan_lost=m.lost)

    async def rate(self, forwarder):
        m = await scenarios.highest_rate(self.load, forwarder, self.sizes.first_rate, self.sizes.rate_s)
        if m is None:
            raise RuntimeError(f"{self.sizes.first_rate} forwards/s are too many to begin with")
        self.tell(forwarder.name, "highest rate", m)
        busy = m.load_cpu_s / m.seconds
        if busy > BUSY:
            self.note(
                f"{forwarder.name} might carry more than its highest rate: the load itself used {busy:.0%} of a core"
            )
        self.keep(forwarder.name, rate=m.rate, rate_load=busy)

    async def joins(self, forwarder):
        m, joined = await scenarios.joining(
            self.load, forwarder, self.sizes.fan_out, self.sizes.joins_a_second, self.sizes.seconds
        )
        self.tell(forwarder.name, f"one to ten with {joined} joins", m)
        self.keep(forwarder.name, joins_p50_us=m.p50_us, joins_p99_us=m.p99_us, joins=joined / m.seconds)

    async def calls(self, forwarder):
        m = await scenarios.small_calls(self.load, forwarder, self.sizes.calls, self.sizes.seconds)
        self.tell(forwarder.name, f"{self.sizes.calls} calls of two", m)
        self.keep(forwarder.name, calls_cpu=m.cpu_percent, calls_lost=m.lost)

    async def added(self, forwarder):
        few, many = (1, 3) if forwarder.name == "MediaRelay" else (1, 21)
        stream = partial(Recorded, 1)
        cost = await scenarios.added_subscriber(self.load, forwarder, stream, few, many, self.sizes.seconds)
        self.load.say(f"{forwarder.name}: {cost:.3f} % of a core for one more subscriber")
        self.keep(forwarder.name, added_cpu=cost)

    async def starts(self, forwarder):
        if forwarder.name != OURS:
            self.keep(forwarder.name, idle_pss_mb=pss_kb(forwarder.pid) / 1024)
            return
        warm, forked = await starts.answer_ms(self.load, forwarder)
        memory, cpu = await starts.idle(forwarder)
        self.load.say(f"answer: warm {warm:.1f} ms, forked {forked:.1f} ms; idle: {memory:.1f} MB PSS, {cpu:.2f} % CPU")
        self.keep(forwarder.name, warm_ms=warm, forked_ms=forked, idle_pss_mb=memory, idle_cpu=cpu)

    async def profiled(self, forwarder):
        self.profile = await profile(self.load, forwarder, self.sizes.people, max(4, self.sizes.seconds))

    async def bare(self, step):
        """The physical limit of the fan-out, or of the highest rate."""
        if what := limit.missing():
            return self.note(f"the physical limit was not measured: {what}")
        program = limit.Limit(self.load.folder)
        await program.build()
        for _ in range(self.sizes.rounds):
            rate = self.sizes.fan_out // scenarios.FAN_OUT if step == "fan" else 0
            bare = await program.run(self.load, scenarios.FAN_OUT, rate, min(3, self.sizes.seconds))
            self.load.say(f"limit: {bare.rate:,.0f} packets/s, {bare.cpu_us:.2f} us each")
            self.keep("limit", **({"fan_cpu_us": bare.cpu_us} if step == "fan" else {"rate": bare.rate}))
        return None


async def main(sizes):
    with tempfile.TemporaryDirectory(prefix="hookswitch-media-") as folder:
        load = Load(Slab(), sizes.host, Path(folder))
        if LOAD == FORWARDER:
            load.say("there is one core only: forwarder and load share it")
        load_core()
        run = Run(load, sizes)
        await run.all()
    print(json.dumps({"samples": run.samples, "notes": run.notes, "profile": run.profile}))


if __name__ == "__main__":
    uvloop.run(main(Sizes(**json.loads(sys.argv[1]))))
