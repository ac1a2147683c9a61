"""Twelve participants, all to all, for a minute: the worker must lose nothing."""

from bench.figures.media import run
from bench.media.run import Sizes
from bench.report import Goal, Row
from bench.samples import Spread

SECONDS, QUICK = 60.0, 10.0


def measure(stage, report):
    seconds = QUICK if stage.sizes.rounds == 1 else SECONDS
    told = run(stage, Sizes(rounds=1, seconds=seconds, only=("twelve",), peers=False))
    for note in told["notes"]:
        stage.note(note)

    def figure(name):
        return Spread.of(told["samples"].get(name, {}).get("hookswitch", []))

    none = Goal(0, against="ours")
    report.rows += [
        Row("7", f"packets lost, twelve all to all for {seconds:.0f} s", "", figure("twelve_lost"), goals=(none,)),
        Row("7", "forwards meanwhile", "/s", figure("twelve_rate")),
        Row("7", "CPU of the worker", "% of a core", figure("twelve_cpu")),
        Row("7", "latency p50", "µs", figure("twelve_p50_us")),
    ]
