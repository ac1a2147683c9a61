"""How streams did over a while: the mean of what media workers tell every few seconds, for what is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

MEANS = ("bitrate_bps", "loss", "jitter_ms", "rtt_ms")
DIGITS = 4

Row = Mapping[str, Any]


@dataclass(slots=True, frozen=True)
class Mean:
    """What is kept of a call's streams for the time up to `at`."""

    call_id: UUID
    epoch: int
    at: datetime
    streams: list[dict[str, Any]]


@dataclass(slots=True)
class Gathered:
    """Rows of one call since the last time, by stream, way and viewer, and by layer where each comes by itself."""

    due: datetime
    rows: dict[tuple[Any, ...], list[Row]] = field(default_factory=dict)


class QualityMeans:
    """Of all calls of a process. The first sample of a call is due at once, so that short calls have one, too."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._calls: dict[tuple[UUID, int], Gathered] = {}

    def add(self, call_id: UUID, epoch: int, at: datetime, streams: Iterable[Row]) -> None:
        """A worker told this of its call."""
        gathered = self._calls.setdefault((call_id, epoch), Gathered(at))
        for row in streams:
            gathered.rows.setdefault(_key(row), []).append(row)

    def due(self, at: datetime) -> list[Mean]:
        """What is to be kept now. Calls of which nothing was told any more are forgotten."""
        found: list[Mean] = []
        for (call_id, epoch), gathered in list(self._calls.items()):
            if at < gathered.due:
                continue
            if gathered.rows:
                found.append(Mean(call_id, epoch, at, [_mean(rows) for rows in gathered.rows.values()]))
                self._calls[call_id, epoch] = Gathered(at + self._every)
            else:
                del self._calls[call_id, epoch]
        return found


def _key(row: Row) -> tuple[Any, ...]:
    layer = row.get("layer") if row.get("direction") == "up" else None
    return row.get("stream_id"), row.get("direction"), row.get("to"), layer


def _mean(rows: list[Row]) -> dict[str, Any]:
    """The newest row with the means of what varies; what nobody measured stays unknown."""
    mean = dict(rows[-1])
    for name in MEANS:
        known = [row[name] for row in rows if row.get(name) is not None]
        if known:
            mean[name] = round(sum(known) / len(known), DIGITS)
    return mean
