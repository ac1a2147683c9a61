"""Goal 5: thousands of idle sockets in one process: memory, heartbeats, and a ring on five devices among them."""

import sys
import time
from dataclasses import dataclass, field

from bench.hookswitch import HOST, Service
from bench.loading import ROOT, Load
from bench.processes import Server, cpu_seconds, free_port, listens, resident_kb
from bench.report import Goal, Row
from bench.samples import Spread, percentile
from bench.stage import raise_limits

DEVICES = 5
FAN_OUT_PAUSE_S = 0.02
WARM = 100
"""Sockets connected before the memory is first read: what every process needs once is not theirs."""
SPARE_FILES = 500


def measure(stage, report):
    count = min(stage.sizes.sockets, raise_limits() - SPARE_FILES)
    if count < stage.sizes.sockets:
        stage.note(f"only {count} sockets: the system's limit of open files (ulimit -Hn) allows no more")
    service = Service(stage.folder, stage.postgres.create("sockets"), name="sockets")
    port = free_port()
    echo = Server.start("echo", [sys.executable, "-m", "bench.echo", port], ROOT, log=stage.folder)
    with stage.running(service, echo):
        service.start()
        echo.wait_for(lambda: listens(port))
        app = service.app("sockets")
        with (
            Load("idle", {"host": HOST, "port": service.port, "echo": False}) as load,
            Load("idle", {"host": HOST, "port": port, "echo": True}) as echo_load,
        ):
            people = app.people(count, "idle")
            group = app.people(2, "group")
            load.order({"mode": "ring_group", "caller": group[0], "callee": group[1], "devices": DEVICES})
            load.order({"mode": "fan_out", "times": 3, "pause": 0})
            crowd, beside = (
                connect(stage, service.pid, load, people),
                connect(stage, echo.pid, echo_load, [None] * count),
            )
            idle(stage, crowd, beside)
            fan_outs = [
                load.order({"mode": "fan_out", "times": stage.sizes.fan_outs, "pause": FAN_OUT_PAUSE_S})["last"]
                for _ in range(stage.sizes.rounds)
            ]
    slow = Spread.of([percentile(last, 0.99) * 1000 for last in fan_outs])
    note = f"{count} sockets connected and authenticated in {crowd.connect_s:.1f} s"
    report.rows += [
        row(f"memory of one of {count} idle sockets", "KB", crowd.memory, beside.memory, 30, note),
        row(f"CPU for the heartbeats of {count} sockets", "% of a core", crowd.cpu, beside.cpu, 5),
        Row("5", f"dial to the last of {DEVICES} devices' ring, p99", "ms", slow, goals=(ours_at_most(30, "ms"),)),
    ]


@dataclass
class Crowd:
    """Connected sockets of one server, and what they cost."""

    pid: int
    load: Load
    count: int
    memory: Spread
    connect_s: float
    shares: list = field(default_factory=list)

    @property
    def cpu(self):
        return Spread.of(self.shares)


def ours_at_most(limit, unit):
    return Goal(limit, against="ours", unit=unit)


def row(what, unit, ours, echo, limit, note=""):
    return Row("5", what, unit, ours, echo, "uvicorn's echo", (ours_at_most(limit, unit),), note)


def connect(stage, pid, load, people):
    """Memory of each socket is that of the process before and after."""
    load.order({"mode": "connect", "people": people[:WARM]})
    before = resident_kb(pid)
    stage.say(f"connecting {len(people)} sockets")
    connected = load.order({"mode": "connect", "people": people[WARM:]})
    load.order({"mode": "rest", "seconds": 2})
    memory = Spread.of([(resident_kb(pid) - before) / (len(people) - WARM)])
    return Crowd(pid, load, len(people), memory, connected["seconds"])


def idle(stage, *crowds):
    """CPU of each process while nothing but heartbeats happens; nobody may be lost."""
    for _ in range(stage.sizes.rounds):
        spent = [cpu_seconds(crowd.pid) for crowd in crowds]
        time.sleep(stage.sizes.idle_s)
        for crowd, before in zip(crowds, spent, strict=True):
            crowd.shares.append((cpu_seconds(crowd.pid) - before) / stage.sizes.idle_s * 100)
    for crowd in crowds:
        alive = crowd.load.order({"mode": "rest", "seconds": 0})["alive"]
        if alive < crowd.count:
            raise RuntimeError(f"{crowd.count - alive} of {crowd.count} idle sockets were closed")
