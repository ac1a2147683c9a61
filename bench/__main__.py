"""`python -m bench [NAME ...]`: measure, print the table, write it to bench/RESULTS.md.

NAME is one of the measurements; without it all of the service are taken. Those of the media worker have a table of
their own, bench/MEDIA.md. A run of some touches neither unless --write says so.
"""

import argparse
import importlib
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from bench.report import Report
from bench.stage import QUICK, Sizes, Stage, raise_limits

FIGURES = ("cycles", "transitions", "timers", "sockets", "webhooks", "starts", "growth", "push", "presence", "profile")
MEDIA = ("media", "minute", "browsers")
HERE = Path(__file__).resolve().parent
TABLES = {frozenset(FIGURES): HERE / "RESULTS.md", frozenset(MEDIA): HERE / "MEDIA.md"}


def arguments():
    known = (*FIGURES, *MEDIA)
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--only", action="append", default=[], choices=known, help="as NAME")
    parser.add_argument("--quick", action="store_true", help="one short round of each (3 minutes)")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement")
    parser.add_argument("--no-peers", action="store_true", help="do not start other servers beside ours")
    parser.add_argument("--brief", action="store_true", help="print the README's short table, too")
    parser.add_argument("--write", type=Path, help="write the Markdown here")
    options = parser.parse_args()
    options.names += options.only
    if options.names == ["media"]:
        options.names = list(MEDIA)
    if unknown := set(options.names) - set(known):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))} (there are {', '.join(known)})")
    return options


def measure(stage, report, names):
    """Run the named measurements; one that fails is told and does not stop the others. Gives how many failed."""
    failed = 0
    for name in names:
        stage.say(f"measuring {name}")
        try:
            importlib.import_module(f"bench.figures.{name}").measure(stage, report)
        except Exception as error:  # noqa: BLE001 - the other figures still count
            failed += 1
            traceback.print_exc()
            stage.note(
                f"{name} could not be measured: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            )
    return failed


def main():
    options = arguments()
    names = options.names or list(FIGURES)
    sizes = QUICK if options.quick else Sizes()
    if options.rounds:
        sizes = replace(sizes, rounds=options.rounds)
    raise_limits()
    with Stage(sizes, peers=not options.no_peers) as stage:
        report = Report(stage.machine(of_service=bool(set(names) & set(FIGURES))))
        failed = measure(stage, report, names)
        report.notes = stage.notes
    print("\n" + report.terminal())
    if options.brief:
        print("\n" + report.brief())
    if target := options.write or (None if options.quick else TABLES.get(frozenset(names))):
        target.write_text(report.markdown(), encoding="utf-8")
        print(f"\nwritten to {target}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
