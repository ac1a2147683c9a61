"""Which core runs what, and what the kernel says it cost, in nanoseconds."""

import contextlib
import os
import time
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
FORWARDER = {CORES[0]}
LOAD = {CORES[-1]}


@contextlib.contextmanager
def forwarder_core():
    """Processes started meanwhile run on the forwarder's core, and everything that they start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, FORWARDER)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def load_core():
    """This process, and what it starts, runs on the core of the load."""
    os.sched_setaffinity(0, LOAD)


def cpu_ns(pid):
    """CPU time of a process, all its threads together (the clock of clock_getcpuclockid(3))."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def kernel_share(pid, before=(0, 0)):
    """Share (0 to 1) of the CPU time since `before` that was the kernel's; the times as well, for the next call."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    user, system = (int(ticks) for ticks in text[text.rindex(")") + 2 :].split()[11:13])
    spent = user - before[0] + system - before[1]
    return (system - before[1]) / spent if spent else 0.0, (user, system)


def pss_kb(pid):
    """Proportional set size: pages shared with others count in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def drops(ports):
    """Datagrams that the kernel could not keep for the sockets on these ports."""
    lost = 0
    for line in Path("/proc/self/net/udp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) in ports:
            lost += int(fields[12])
    return lost
