"""Goal 4: how late an unanswered call ends, with many ringing and with very many due at once; none twice, none lost.

The lateness is the moment its `call.ended` was written, by the database's clock, after the moment it was due.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from bench.clones import multiply, ringing_call, take
from bench.hookswitch import Service
from bench.processes import wait_until
from bench.report import Goal, Row, spread
from bench.samples import Spread, percentile
from bench.sweep import lateness

DATABASE = "timers"
BARE = "bare SQL sweep"
LEAD_S = 3
"""From the writing of the deadlines to the first of them: the service looks for new ones every second."""
LOOK_S = 1.2
COPIES_PER_S = 2_000
PATIENCE_S = 120
MARK = """
CREATE TABLE IF NOT EXISTS bench_due (call_id uuid PRIMARY KEY, due_at timestamptz);
TRUNCATE bench_due;
"""
ENDED = """
SELECT d.call_id, count(e.stream) AS ends, extract(epoch FROM min(e.created_at) - min(d.due_at))::float8 AS late
FROM bench_due d LEFT JOIN events e ON e.stream = d.call_id AND e.type = 'call.ended' GROUP BY d.call_id
"""
NOTE = "INSERT INTO bench_due SELECT * FROM unnest($1::uuid[], $2::timestamptz[])"
NOW = "SELECT clock_timestamp()"
LEFT = "SELECT count(*) FROM bench_due d JOIN calls c ON c.id = d.call_id WHERE c.ended_at IS NULL"
ENGAGED = "SELECT count(*) FROM engagements g JOIN bench_due d ON d.call_id = g.call_id"


@dataclass
class Case:
    """So many calls ring, so many of them fall due within so many seconds; and what the rounds gave."""

    ringing: int
    due: int
    within_s: float
    limit_ms: float
    ours: list = field(default_factory=list)
    bare: list = field(default_factory=list)
    wrong: int = 0

    @property
    def offsets(self):
        return [self.within_s * number / self.due for number in range(self.due)]

    def row(self):
        what = f"{self.ringing:,} ringing, {self.due:,} due within {self.within_s:.0f} s"
        goal = Goal(self.limit_ms, against="ours", unit="ms")
        rate = Spread.of([self.due / (self.within_s + max(seconds)) for seconds in self.ours])
        note = f"p50 {spread(late(self.ours, 0.5))} ms, the bare sweep's {spread(late(self.bare, 0.5))} ms"
        if self.within_s == 1:
            note += f"; {spread(rate)} calls settled per second"
        beside = late(self.bare, 0.99)
        return Row("4", f"no-answer lateness p99, {what}", "ms", late(self.ours, 0.99), beside, BARE, (goal,), note)


def late(rounds, share):
    """A percentile of each round's lateness, in milliseconds."""
    return Spread.of([percentile(seconds, share) * 1000 for seconds in rounds])


def measure(stage, report):
    sizes = stage.sizes
    cases = [
        Case(sizes.ringing_small, sizes.due_spread, sizes.due_spread_s, 20),
        Case(sizes.ringing_large, sizes.due_spread, sizes.due_spread_s, 50),
        Case(sizes.ringing_large, sizes.due_burst // 10, 1.0, 50),
        Case(sizes.ringing_large, sizes.due_burst, 1.0, 50),
    ]
    service = Service(stage.folder, stage.postgres.create(DATABASE), name="timers")
    with stage.running(service):
        service.start()
        app = service.app("timers")
        call_id, users = ringing_call(service, app)
        template = take(stage.postgres, DATABASE, call_id, users)
        resting = 0
        for case in cases:
            resting = rest(stage, template, resting, case.ringing)
            for number in range(sizes.rounds):
                stage.say(
                    f"round {number + 1}: {case.ringing:,} ringing, {case.due:,} due within {case.within_s:.0f} s"
                )
                case.ours.append(one_round(stage, template, case, number))
                case.bare.append(lateness(stage.postgres, DATABASE, case.offsets, case.ringing))
    wrong = sum(case.wrong for case in cases)
    report.rows += [case.row() for case in cases]
    zero = (Goal(0, against="ours"),)
    report.rows.append(
        Row("4", "calls ended twice, never, or leaving somebody engaged", "", Spread.of([wrong]), goals=zero)
    )


def rest(stage, template, there, wanted):
    """Fill up with calls that ring for an hour."""
    if wanted > there:
        far = stage.postgres.value(NOW, database=DATABASE) + timedelta(hours=1)
        multiply(stage.postgres, DATABASE, template, [far] * (wanted - there), f"rest{there}-")
    return max(there, wanted)


def one_round(stage, template, case, number):
    """Write the calls behind the service's back, wait for their ends; seconds each was late."""
    postgres = stage.postgres
    lead = timedelta(seconds=LEAD_S + case.due / COPIES_PER_S)
    base = postgres.value(NOW, database=DATABASE) + lead
    deadlines = [base + timedelta(seconds=offset) for offset in case.offsets]
    ids = multiply(postgres, DATABASE, template, deadlines, f"due{number}-{case.ringing}-{case.due}-", settle=False)
    postgres.execute(MARK, database=DATABASE)
    postgres.rows(NOTE, ids, deadlines, database=DATABASE)
    if postgres.value(NOW, database=DATABASE) > base - timedelta(seconds=LOOK_S):
        raise RuntimeError("the machine is too busy: the deadlines could not be written in time")
    ended = partial(postgres.value, LEFT, database=DATABASE)
    wait_until(lambda: not ended(), seconds=PATIENCE_S, what="the end of all due calls", every=0.5)
    rows = postgres.rows(ENDED, database=DATABASE)
    case.wrong += sum(row["ends"] != 1 for row in rows) + postgres.value(ENGAGED, database=DATABASE)
    return [row["late"] for row in rows if row["late"] is not None]
