"""Goal 7: the media worker beside Janus' VideoRoom, a bare sender and aiortc's MediaRelay, with the same clients.

All of it runs in a network namespace of its own, since Janus does not use the loopback address; the forwarder on one
core, the load on another. `bench.media.run` measures, this starts it and makes rows of what it tells.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from bench.media import janus
from bench.media.run import OURS, Sizes
from bench.report import Goal, Row
from bench.samples import Spread

ROOT = Path(__file__).resolve().parents[2]
HOST, LOOPBACK = "10.77.0.1", "127.0.0.1"
NETWORK = f"""
ip link set lo up && ip link add media0 type veth peer name media1 &&
ip address add {HOST}/24 dev media0 && ip link set media0 up && ip link set media1 up && exec "$@"
"""
PEER = "Janus"


def measure(stage, report):
    told = run(stage, Sizes(**sizes_of(stage)))
    for note in told["notes"]:
        stage.note(note)
    if PEER in told["samples"].get("fan_cpu_us", {}):
        stage.note(f"Janus {janus.version()} as its package sets it up, with no plugin but VideoRoom")
    report.rows += rows(told["samples"])
    report.profile += told["profile"]


def sizes_of(stage):
    """How much of it: a quick run has one short round."""
    if stage.sizes.rounds == 1:
        return {"rounds": 1, "seconds": 2.0, "rate_s": 1.0, "peers": stage.peers}
    return {"rounds": stage.sizes.rounds, "peers": stage.peers}


def run(stage, sizes):
    """Start the measurement in its namespace; gives what it tells."""
    prefix = namespace()
    facts = {**asdict(sizes), "host": HOST if prefix else LOOPBACK}
    if sizes.peers and not prefix:
        stage.note("Janus was not measured: it does not use loopback, and no network namespace can be made here")
    elif sizes.peers and (what := janus.missing()):
        stage.note(f"Janus is not installed, nothing is measured beside it: {what}")
        prefix = None
    facts["peers"] = sizes.peers and prefix is not None
    facts["host"] = HOST if prefix else LOOPBACK
    command = [*(prefix or ()), sys.executable, "-m", "bench.media.run", json.dumps(facts)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the media measurement ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def namespace():
    """The command line that runs what follows it in a network of its own; None when this system does not let us."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return None
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    prefix = ("unshare", *rights, "--net", "sh", "-c", NETWORK, "sh")
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else None


def rows(samples):
    def spread(name, who=OURS, scale=1.0):
        values = samples.get(name, {}).get(who, [])
        return Spread.of([value * scale for value in values])

    def beside(what, name, unit, *goals, who=PEER, scale=1.0, note=""):
        ours, theirs = spread(name, scale=scale), spread(name, who, scale)
        return Row("7", what, unit, ours, theirs if theirs.rounds else None, who if theirs.rounds else "", goals, note)

    def alone(what, name, unit, *goals, scale=1.0):
        return Row("7", what, unit, spread(name, scale=scale), goals=goals)

    def ours(limit, unit):
        return Goal(limit, against="ours", unit=unit)

    everything = [
        beside(
            "CPU per forward, twelve all to all (1.2 Mbit/s and sound)",
            "twelve_cpu_us",
            "µs",
            Goal(0.6),
            note=f"{spread('twelve_rate').middle:,.0f} forwards/s",
        ),
        beside("share of a core meanwhile", "twelve_cpu", "%"),
        beside("memory meanwhile", "twelve_pss_mb", "MB"),
        alone("packets lost by the worker meanwhile", "twelve_lost", "", ours(0, "")),
        beside("CPU per forward, one to ten, 15,000 forwards/s", "fan_cpu_us", "µs", Goal(0.75)),
        beside("the same beside AES-GCM and sendto in C", "fan_cpu_us", "µs", Goal(1.5), who="limit"),
        beside("latency p50, one to ten", "fan_p50_us", "µs", Goal(0.8)),
        beside("latency p99, one to ten", "fan_p99_us", "µs"),
        beside("latency p99 while 20 a second join", "joins_p99_us", "ms", ours(5, "ms"), scale=0.001),
        beside("most forwards per second and core, at most 0.1 % lost", "rate", "/s", Goal(1.3, least=True)),
        beside("the same beside AES-GCM and sendto in C", "rate", "/s", who="limit"),
        beside("ten calls of two in one worker, share of a core", "calls_cpu", "%", Goal(1.0)),
        beside("CPU of one more subscriber, share of a core", "added_cpu", "%", Goal(0.05), who="MediaRelay"),
        alone("offer to answer, warm worker", "warm_ms", "ms", ours(10, "ms")),
        alone("offer to answer, forked worker", "forked_ms", "ms", ours(60, "ms")),
        beside("idle process, proportional set size", "idle_pss_mb", "MB", ours(15, "MB")),
    ]
    return [row for row in everything if row.ours.rounds]
