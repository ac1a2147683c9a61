"""Reports of one call that wait for the database, bounded: where many wait, only what holds in the end is kept."""

from collections import deque
from dataclasses import replace

from service.media.backend import Report

MOST = 256
"""So many wait as they came; a database that is there takes them faster than workers make them."""
ENDS = frozenset({"room.lost", "room.failed"})
OVER = "stream.destroyed"
NEW = "stream.created"
CHANGED = "stream.changed"

Subject = tuple[str | None, ...]


class Backlog:
    """Oldest first. Taking from the front and adding at the end keep the order of numbers."""

    def __init__(self, most: int = MOST) -> None:
        self._waiting: deque[Report] = deque()
        self._most = self._limit = most

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Report:
        """The one to be carried next."""
        return self._waiting[0]

    def done(self) -> None:
        """The first one was carried."""
        self._waiting.popleft()

    def add(self, report: Report) -> None:
        """One more. Beyond the limit those that later ones outdate go; the first one, which is under way, stays."""
        self._waiting.append(report)
        if len(self._waiting) > self._limit:
            first, *rest = self._waiting
            self._waiting = deque((first, *in_the_end(rest)))
            self._limit = max(self._most, 2 * len(self._waiting))


def in_the_end(reports: list[Report]) -> list[Report]:
    """What is left of these reports when only the last state of each participant and each stream counts.

    A stream that came and went is nothing; one that came and changed came as it is now. With the end of a room all that
    was told of it before is void.
    """
    kept: dict[Subject, list[Report]] = {}
    for report in reports:
        if report.kind in ENDS:
            kept.clear()
        subject = _subject(report)
        before = kept.pop(subject, [])
        kept[subject] = _merged(before, report)
    return sorted((one for some in kept.values() for one in some), key=lambda one: (one.epoch, one.number))


def _merged(before: list[Report], report: Report) -> list[Report]:
    """`before` is what counts of the same subject so far: at most its end and then its new beginning."""
    last = before[-1] if before else None
    if last is None or not report.kind.startswith("stream."):
        return [report]
    if report.kind == OVER:
        earlier = [one for one in before if one.kind == OVER]
        return earlier if last.kind == NEW else [report]
    if report.kind == NEW:
        return [*(one for one in before if one.kind == OVER), report]
    return [*before[:-1], _as(last.kind, report)] if last.kind in {NEW, CHANGED} else [*before, report]


def _as(kind: str, report: Report) -> Report:
    return replace(report, kind=kind)


def _subject(report: Report) -> Subject:
    stream = report.facts.get("stream") or {}
    kind = report.kind.partition(".")[0]
    return kind, str(report.epoch), report.user_id, report.device_id, str(stream.get("stream_id"))
