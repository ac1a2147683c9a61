"""What the browser tests measure: kept for the report, and judged by wide bounds.

The goals are several times narrower; on a busy machine with two cores they would fail now and then. What breaks these
bounds is broken.
"""

import json
from pathlib import Path
from statistics import median

from tests.house.source import ROOT

FILE = ROOT / "build" / "chromium.json"


class Figures:
    """Values by name; several of one name are told by their median and the worst."""

    def __init__(self):
        self.values = {}

    def note(self, name, value, unit="ms", *, at_most=None, at_least=None):
        self.values.setdefault(f"{name} ({unit})", []).append(round(value, 1))
        assert at_most is None or value <= at_most, f"{name}: {value} {unit}, more than {at_most}"
        assert at_least is None or value >= at_least, f"{name}: {value} {unit}, less than {at_least}"

    def rows(self):
        """(name, median, worst, how many) of each."""
        return [(name, round(median(values), 1), max(values), len(values)) for name, values in self.values.items()]

    def keep(self, file=FILE):
        """Write them down, and say them (`pytest -s` shows it)."""
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(json.dumps(self.values, indent=2) + "\n", encoding="utf-8")
        return "\n".join(
            f"{name:<60} {middle:>9} worst {worst:>9} of {count}" for name, middle, worst, count in self.rows()
        )
