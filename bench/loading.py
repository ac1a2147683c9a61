"""The bench's side of a load generator: start it, give it orders, take what it measured."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import cpu_seconds
from bench.samples import percentile

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Measured:
    """One run of calls. Times in seconds; `cpu` by server, over all cycles of the run."""

    cycles: int
    seconds: float
    rings: list
    faults: int
    first_fault: str | None
    load_cpu_s: float
    cpu: dict = field(default_factory=dict)

    @property
    def rate(self):
        return self.cycles / self.seconds if self.seconds else float("nan")

    def ring_ms(self, share):
        return percentile(self.rings, share) * 1000

    def cpu_ms(self, *servers):
        """CPU per cycle of the named servers (all without names), in milliseconds."""
        spent = sum(value for name, value in self.cpu.items() if not servers or name in servers)
        return spent / self.cycles * 1000 if self.cycles else float("nan")

    def check(self, who):
        """RuntimeError when more than one call of a hundred failed: then the figures mean nothing."""
        if self.faults > max(1, self.cycles // 100):
            raise RuntimeError(f"{who}: {self.faults} of {self.cycles + self.faults} calls failed: {self.first_fault}")
        return self


class Load:
    """A running load generator of a kind that `bench.load` knows."""

    def __init__(self, kind, configuration):
        self.kind = kind
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load", kind],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.order(configuration)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def order(self, document):
        """Send one command and wait for its answer; RuntimeError with what the generator says went wrong."""
        self.process.stdin.write(json.dumps(document) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the load generator ended"}')
        if "error" in answer:
            raise RuntimeError(f"load {self.kind}: {answer['error']}")
        return answer

    def run(self, servers, **command):
        """Run a command and take the CPU that each of `servers` (name -> process id) spent meanwhile."""
        before = {name: cpu_seconds(pid) for name, pid in servers.items()}
        answer = self.order(command)
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in servers.items()}
        return Measured(**answer, cpu=cpu)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process.stdout.close()
