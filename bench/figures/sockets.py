"""Goal 5: thousands of idle sockets in one process: memory, heartbeats, and a ring on five devices among them."""

import sys

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
    ours, connect_s, fan_outs = our_sockets(stage, count)
    echo, _ = echo_sockets(stage, count)
    slow = Spread.of([percentile(round_, 0.99) * 1000 for round_ in fan_outs])
    note = f"{count} sockets connected and authenticated in {connect_s:.1f} s"
    report.rows += [
        row(f"memory of one of {count} idle sockets", "KB", ours["kb"], echo["kb"], 30, note),
        row(f"CPU for the heartbeats of {count} sockets", "% of a core", ours["cpu"], echo["cpu"], 5),
        Row("5", f"dial to the last of {DEVICES} devices' ring, p99", "ms", slow, goals=(ours_at_most(30, "ms"),)),
    ]


def ours_at_most(limit, unit):
    return Goal(limit, against="ours", unit=unit)


def row(what, unit, ours, echo, limit, note=""):
    return Row("5", what, unit, ours, echo, "uvicorn's echo", (ours_at_most(limit, unit),), note)


def our_sockets(stage, count):
    service = Service(stage.folder, stage.postgres.create("sockets"), name="sockets")
    with stage.running(service):
        service.start()
        app = service.app("sockets")
        with Load("idle", {"host": HOST, "port": service.port, "echo": False}) as load:
            group = app.people(2, "group")
            load.order({"mode": "ring_group", "caller": group[0], "callee": group[1], "devices": DEVICES})
            load.order({"mode": "fan_out", "times": 3, "pause": 0})
            figures, connect_s = idle(stage, service.pid, load, app.people(count, "idle"))
            fan_outs = [
                load.order({"mode": "fan_out", "times": stage.sizes.fan_outs, "pause": FAN_OUT_PAUSE_S})["last"]
                for _ in range(stage.sizes.rounds)
            ]
            return figures, connect_s, fan_outs


def echo_sockets(stage, count):
    port = free_port()
    server = Server.start("echo", [sys.executable, "-m", "bench.echo", port], ROOT, log=stage.folder)
    with stage.running(server):
        server.wait_for(lambda: listens(port))
        with Load("idle", {"host": HOST, "port": port, "echo": True}) as load:
            return idle(stage, server.pid, load, [None] * count)


def idle(stage, pid, load, people):
    """Memory of each socket and CPU of the process while nothing happens, and the seconds that connecting took."""
    load.order({"mode": "connect", "people": people[:WARM]})
    before = resident_kb(pid)
    stage.say(f"connecting {len(people)} sockets")
    connected = load.order({"mode": "connect", "people": people[WARM:]})
    load.order({"mode": "rest", "seconds": 2})
    memory = Spread.of([(resident_kb(pid) - before) / (len(people) - WARM)])
    shares = []
    for _ in range(stage.sizes.rounds):
        spent = cpu_seconds(pid)
        alive = load.order({"mode": "rest", "seconds": stage.sizes.idle_s})["alive"]
        shares.append((cpu_seconds(pid) - spent) / stage.sizes.idle_s * 100)
        if alive < len(people):
            raise RuntimeError(f"{len(people) - alive} of {len(people)} idle sockets were closed")
    return {"kb": memory, "cpu": Spread.of(shares)}, connected["seconds"]
