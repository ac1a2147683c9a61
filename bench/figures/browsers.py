"""Goal 7 as people see it: headless Chromium in calls, measured by the browser tests and told beside the goals.

The tests judge by wide bounds, since they run on busy machines; here the goals are the design's.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.report import Goal, Row
from bench.samples import Spread

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "build" / "chromium.json"
TESTS = "tests/media/browser"


def least(limit, unit):
    return Goal(limit, least=True, against="ours", unit=unit)


def most(limit, unit):
    return Goal(limit, against="ours", unit=unit)


GOALS = {
    "first frame after the connection (ms)": most(300, "ms"),
    "above 1 Mbit/s on pub, from its connection, three layers (ms)": most(3000, "ms"),
    "above 1 Mbit/s on sub, from its connection, three layers (ms)": most(3000, "ms"),
    "above 1 Mbit/s on pub, from its connection, one layer (ms)": most(3000, "ms"),
    "above 1 Mbit/s on sub, from its connection, one layer (ms)": most(3000, "ms"),
    "5 % loss up: frames decoded of those sent (%)": least(95, "%"),
    "5 % loss down: frames decoded of those sent (%)": least(95, "%"),
    "5 % loss up: freezes in 10 s of pictures (count)": most(1, ""),
    "5 % loss down: freezes in 10 s of pictures (count)": most(1, ""),
    "layer switch on the screen, from the service's word (ms)": most(60, "ms"),
    "the worker was killed → told (ms)": most(2000, "ms"),
    "told → the picture again (the worker was killed) (ms)": most(1000, "ms"),
}


def measure(stage, report):
    MEASURED.unlink(missing_ok=True)
    environment = {**os.environ, "HOOKSWITCH_NO_SKIPS": "1"}
    command = [sys.executable, "-m", "pytest", TESTS, "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if not MEASURED.exists():
        raise RuntimeError(f"the browser tests measured nothing: {done.stdout[-300:]}")
    if done.returncode:
        stage.note("not all browser tests passed meanwhile; see `make test ARGS=tests/media/browser`")
    report.rows += rows(json.loads(MEASURED.read_text(encoding="utf-8")))


def rows(measured):
    """One line for each figure, the goals of the design beside those that have one."""
    return [
        Row("7", f"Chromium: {name.rpartition(' (')[0]}", unit_of(name), Spread.of(values), goals=goals_of(name))
        for name, values in measured.items()
    ]


def unit_of(name):
    unit = name.rpartition(" (")[2].removesuffix(")")
    return "" if unit == "count" else unit


def goals_of(name):
    return (GOALS[name],) if name in GOALS else ()
