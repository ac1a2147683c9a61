"""What every measurement stands on: sizes, the PostgreSQL server, a place for files, and cleaning up at the end."""

import contextlib
import os
import platform
import resource
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.postgres import Postgres


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Times in seconds."""

    rounds: int = 3
    pairs: int = 32
    warm_s: float = 1.0
    closed_s: float = 5.0
    easy_s: float = 5.0
    loaded_s: float = 6.0
    ringing_small: int = 10_000
    ringing_large: int = 100_000
    due_spread: int = 1_000
    due_spread_s: float = 5.0
    due_burst: int = 10_000
    sockets: int = 10_000
    idle_s: float = 15.0
    fan_outs: int = 100
    live: tuple = (10, 1_000, 100_000)
    crashed: int = 10_000
    push_rate: int = 200
    push_s: float = 10.0
    watchers: int = 1_000
    changes: int = 200
    asked_for: int = 10_000
    profile_s: float = 8.0
    hooks_s: float = 10.0


QUICK = Sizes(
    rounds=1,
    warm_s=0.5,
    closed_s=2.0,
    easy_s=2.0,
    loaded_s=2.0,
    ringing_small=1_000,
    ringing_large=10_000,
    due_spread=200,
    due_spread_s=2.0,
    due_burst=1_000,
    sockets=1_000,
    fan_outs=20,
    live=(10, 1_000),
    crashed=1_000,
    push_rate=40,
    push_s=4.0,
    watchers=200,
    changes=40,
    asked_for=1_000,
    profile_s=4.0,
    hooks_s=3.0,
)


class Stage:
    """One run of the bench. Everything started through it is stopped by `close`."""

    def __init__(self, sizes, *, peers=True):
        self.sizes = sizes
        self.peers = peers
        self.notes = []
        self._stack = contextlib.ExitStack()
        self._began = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    @cached_property
    def folder(self):
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hookswitch-bench-")))
        folder.chmod(0o755)  # PostgreSQL and some peers run as another user when the bench runs as root
        return folder

    @cached_property
    def postgres(self):
        postgres = Postgres(self.folder)
        self._stack.callback(postgres.stop)
        return postgres.start()

    @contextlib.contextmanager
    def running(self, *servers):
        """Stop these at the end, in reverse order, whatever happens."""
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.callback(server.stop)
            yield

    def say(self, text):
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            self.say(text)

    def machine(self, *, of_service=True):
        """What it was measured on, as lines."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        lines = [f"Machine: {os.cpu_count()} cores ({processor()}), {memory:.0f} GiB, Linux {platform.release()}"]
        if of_service:
            database = self.postgres.value("SHOW server_version", database="postgres")
            lines += [
                f"Python {platform.python_version()}, PostgreSQL {database} with default settings (durable commits)",
                "Service, database and load generator share these cores; all traffic is on loopback.",
            ]
        else:
            lines += [
                f"Python {platform.python_version()}; the forwarder has one core, clients and load another",
                "All traffic stays in one network namespace; every packet is decrypted and matched to what was sent.",
            ]
        load = f"Load average when it began: {os.getloadavg()[0]:.1f}"
        return [*lines, f"{load} (what others do on the machine counts against us)"]


def processor():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def raise_limits():
    """As many open files as the system allows; gives that number. Servers started afterwards inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
