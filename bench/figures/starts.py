"""Goal 8: how soon the service serves: on an existing database, for the very first time, and after a power cut."""

import time
from datetime import timedelta

from bench.clones import multiply, ringing_call, take
from bench.hookswitch import Service
from bench.processes import wait_until
from bench.report import Goal, Row
from bench.samples import Spread

DATABASE = "starts"
OVERDUE = """
SELECT count(*) FROM calls WHERE ended_at IS NULL AND deadline_at <= clock_timestamp()
"""
LAST_SETTLED = "SELECT max(created_at) - $1 FROM events WHERE type = 'call.ended' AND created_at >= $1"


def measure(stage, report):
    again, first, crashed, settled = [], [], [], []
    existing = Service(stage.folder, stage.postgres.create(DATABASE), name="starts")
    with stage.running(existing):
        existing.start()
        existing.stop()
        for number in range(stage.sizes.rounds):
            stage.say(f"round {number + 1}: existing database, first start, power cut")
            again.append(existing.start())
            ready, done = power_cut(stage, existing, number)
            crashed.append(ready)
            settled.append(done)
            existing.stop()
            first.append(first_start(stage, number))
    live = stage.sizes.crashed
    report.rows += [
        row("start on an existing database", again, 1.5),
        row("very first start, with the embedded database", first, 4),
        row(f"serving again after kill -9 with {live} live calls", crashed, 3),
        row(f"all overdue deadlines of these settled ({live // 2} calls)", settled, 5),
    ]


def row(what, seconds, limit):
    return Row("8", what, "s", Spread.of(seconds), goals=(Goal(limit, against="ours", unit="s"),))


def first_start(stage, number):
    service = Service(stage.folder, name=f"first{number}")
    with stage.running(service):
        return service.start()


def power_cut(stage, service, number):
    """Kill the service with live calls, half of them overdue: seconds until it serves and until these are settled."""
    postgres = stage.postgres
    app = service.app(f"power-cut-{number}")
    call_id, users = ringing_call(service, app)
    template = take(postgres, DATABASE, call_id, users)
    service.kill()
    now = postgres.value("SELECT clock_timestamp()", database=DATABASE)
    half = stage.sizes.crashed // 2
    overdue = [now - timedelta(seconds=1 + 10 * n / half) for n in range(half)]
    multiply(postgres, DATABASE, template, overdue + [now + timedelta(hours=1)] * half, f"r{number}-")
    began = postgres.value("SELECT clock_timestamp()", database=DATABASE)
    clock = time.perf_counter()
    ready = service.start()
    wait_until(
        lambda: not postgres.value(OVERDUE, database=DATABASE), seconds=60, what="all overdue calls settled", every=0.1
    )
    seen = time.perf_counter() - clock
    last = postgres.value(LAST_SETTLED, began, database=DATABASE)
    return ready, last.total_seconds() if last else seen
