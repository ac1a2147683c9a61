"""The table: what was measured, beside what, against which goal; for the terminal and as Markdown."""

import math
from dataclasses import dataclass, field

from bench.samples import Spread, ratio

COLUMNS = ("goal", "what", "ours", "beside it", "ratio", "asked for", "")


@dataclass(frozen=True)
class Goal:
    """A limit on the ratio (`against="ratio"`) or on our own figure (`"ours"`)."""

    limit: float
    least: bool = False
    against: str = "ratio"
    unit: str = ""

    def met(self, ours, share):
        value = share if self.against == "ratio" else ours
        if math.isnan(value):
            return None
        return value >= self.limit if self.least else value <= self.limit

    def __str__(self):
        sign = "≥" if self.least else "≤"
        return f"{sign} {figure(self.limit)}{' x' if self.against == 'ratio' else f' {self.unit}'}".rstrip()


@dataclass(frozen=True)
class Row:
    """One line. `number` is the goal's in the design, `beside` names what the other figure belongs to."""

    number: str
    what: str
    unit: str
    ours: Spread
    theirs: Spread | None = None
    beside: str = ""
    goals: tuple = ()
    note: str = ""

    @property
    def ratio(self):
        return ratio(self.ours.middle, self.theirs.middle) if self.theirs else math.nan

    @property
    def met(self):
        """True, False, or None when there is no goal or nothing to hold against it."""
        verdicts = [goal.met(self.ours.middle, self.ratio) for goal in self.goals]
        if not verdicts or all(verdict is None for verdict in verdicts):
            return None
        return all(verdict is not False for verdict in verdicts)

    def cells(self):
        beside = f"{spread(self.theirs)} {self.unit}: {self.beside}" if self.theirs else self.beside
        share = "" if math.isnan(self.ratio) else f"{figure(self.ratio)} x"
        verdict = {True: "met", False: "MISSED", None: ""}[self.met]
        return (
            self.number,
            self.what,
            f"{spread(self.ours)} {self.unit}",
            beside,
            share,
            ", ".join(str(goal) for goal in self.goals),
            verdict,
        )


@dataclass
class Report:
    """Everything one run has to say."""

    machine: list
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    profile: list = field(default_factory=list)

    def terminal(self):
        cells = [COLUMNS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]
        lines.insert(1, "-" * max(len(line) for line in lines))
        return "\n".join([*self.machine, "", *lines, *self._remarks(), *self._profile_lines(4)])

    def markdown(self):
        lines = ["# Measured", "", *(f"- {line}" for line in self.machine), ""]
        lines += [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row.cells())} |" for row in self.rows]
        lines += [
            "",
            "Each figure is the median of its rounds (lowest to highest), taken in turn with the one beside it.",
        ]
        lines += self._remarks()
        if self.profile:
            lines += ["", "## Where the time went", "", *self._profile_lines(0)]
        return "\n".join(lines) + "\n"

    def brief(self):
        """The table as the README has it: medians alone."""
        lines = ["| what | ours | beside it | ratio | goal | met |", "|---|---|---|---|---|---|"]
        for row in self.rows:
            beside = f"{figure(row.theirs.middle)} {row.unit}: {row.beside}" if row.theirs else row.beside
            share = "" if math.isnan(row.ratio) else f"{figure(row.ratio)} x"
            goals = ", ".join(str(goal) for goal in row.goals)
            met = {True: "yes", False: "no", None: ""}[row.met]
            ours = f"{figure(row.ours.middle)} {row.unit}".rstrip()
            lines.append(f"| {row.what} | {ours} | {beside} | {share} | {goals} | {met} |")
        return "\n".join(lines)

    def _remarks(self):
        remarks = [f"- {row.what}: {row.note}" for row in self.rows if row.note]
        remarks += [f"- {note}" for note in self.notes]
        return ["", *remarks] if remarks else []

    def _profile_lines(self, indent):
        return [" " * indent + line for line in self.profile]


def figure(value):
    """Three figures that matter, thousands set apart: 0.0123, 1.23, 12.3, 123, 12,345."""
    if value is None or math.isnan(value):
        return "-"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(size)))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def spread(values):
    """The median, with the range of the rounds when there was more than one."""
    if values.rounds < 2 or figure(values.low) == figure(values.high):
        return figure(values.middle)
    return f"{figure(values.middle)} ({figure(values.low)} to {figure(values.high)})"
