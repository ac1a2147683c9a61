"""From steps to the rows of a ladder: what belongs together is one row, and there are not too many of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.core.lanes import Lane, Outcome, Step, StepKind

AT_ONCE = timedelta(milliseconds=5)
"""The same said to several within so long is one row."""
IN_A_BURST = timedelta(milliseconds=150)
"""So are alerts by one provider, and events for one webhook."""
MOST_ROWS, LAST_ROWS = 150, 50
MOST_DEVICES = 24
"""Lanes for devices. Of a user with more the rest share one."""
MOST_OTHERS = 4
"""Lanes for webhooks; the rest share one."""


@dataclass(slots=True, frozen=True)
class Column:
    """A lane as it is drawn, for one lane of the timeline or for several."""

    name: str
    about: str
    kind: str
    lanes: frozenset[str]


@dataclass(slots=True)
class Row:
    """One line of the ladder. `relays` are where a provider handed it on: target and whether it is known to have come.

    Without `source` it says that so many rows are left out.
    """

    at: datetime
    kind: StepKind
    outcome: Outcome
    source: int
    targets: list[int]
    labels: list[tuple[int, str]]
    note: str
    both: bool = False
    count: int = 1
    relays: list[tuple[int, Outcome]] = field(default_factory=list)
    left_out: int = 0

    @property
    def label(self) -> str:
        """What was said, and how often."""
        some = list(dict.fromkeys(label for _, label in sorted(self.labels)))
        text = ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
        return f"{text} \u00d7 {self.count}" if self.count > 1 and len(some) == 1 else text


def columns(lanes: Sequence[Lane]) -> list[Column]:
    """The lanes as they are drawn; too many of one owner are drawn as one."""
    users = [lane.user_id for lane in lanes if lane.kind == "device"]
    most = max(1, MOST_DEVICES // max(1, len(set(users))))
    made: list[Column] = []
    for lane in lanes:
        owner = lane.user_id if lane.kind == "device" else lane.kind
        mine = [other for other in lanes if (other.user_id if other.kind == "device" else other.kind) == owner]
        room = {"device": most, "webhook": MOST_OTHERS}.get(lane.kind, len(lanes))
        place = mine.index(lane)
        if len(mine) <= room or place < room - 1:
            made.append(Column(lane.name, lane.about, lane.kind, frozenset({lane.id})))
        elif place == room - 1:
            rest = mine[place:]
            about = f"{len(rest)} {'devices' if lane.kind == 'device' else 'webhooks'}"
            made.append(Column(lane.name, about, lane.kind, frozenset(other.id for other in rest)))
    return made


def rows(steps: Iterable[Step], drawn: Sequence[Column]) -> list[Row]:
    """The rows in the order of time; of very many the first and the last."""
    where = {lane: place for place, column in enumerate(drawn) for lane in column.lanes}
    made: list[Row] = []
    for step in steps:
        if not (
            made and (_relayed(made[-1], step, where) or any(_merged(row, step, where) for row in _open(made, step)))
        ):
            made.append(_row(step, where))
    if len(made) <= MOST_ROWS:
        return made
    cut = made[MOST_ROWS - LAST_ROWS : -LAST_ROWS]
    gap = Row(cut[0].at, "event", "unknown", 0, [], [], "", left_out=len(cut))
    return [*made[: MOST_ROWS - LAST_ROWS], gap, *made[-LAST_ROWS:]]


def _open(made: Sequence[Row], step: Step) -> Iterator[Row]:
    """The rows that a step may be part of: the last one, and before it those of the same burst of webhooks."""
    for row in reversed(made):
        yield row
        if row.kind != "webhook" or step.kind != "webhook" or step.at - row.at > IN_A_BURST:
            return


def _row(step: Step, where: Mapping[str, int]) -> Row:
    ends = where[step.source], [where[step.target]]
    return Row(step.at, step.kind, step.outcome, *ends, [(step.seq or 0, step.label)], step.note, step.both)


def _relayed(row: Row, step: Step, where: Mapping[str, int]) -> bool:
    """What a provider hands on shares the row of what it was given, if it goes on in the same direction."""
    source, target = where[step.source], where[step.target]
    if step.kind != "alert" or row.kind != "alert" or source not in row.targets or source == row.source:
        return False
    if (target > source) is not (source > row.source):
        return False
    row.relays.append((target, step.outcome))
    return True


def _merged(row: Row, step: Step, where: Mapping[str, int]) -> bool:
    if (row.kind, row.outcome, row.source, row.both) != (step.kind, step.outcome, where[step.source], step.both):
        return False
    target, passed = where[step.target], step.at - row.at
    if target not in row.targets and passed <= AT_ONCE and not row.relays:
        if step.kind not in {"alert", "event"} or row.label != step.label:
            return False
        row.targets.append(target)
        return True
    if row.targets != [target] or passed > IN_A_BURST or step.kind not in {"alert", "webhook"}:
        return False
    said = (step.seq or 0, step.label)
    if step.kind == "alert" and said not in row.labels:
        return False
    row.labels.append(said)
    row.count += 1
    if row.note != step.note:
        row.note = row.note.split(" ")[0]
    return True
