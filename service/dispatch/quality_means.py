"""How streams did over a while: the mean of what media workers tell every few seconds, for what is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

MEANS = ("bitrate_bps", "jitter_ms", "rtt_ms")
DIGITS = 4

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(slots=True, frozen=True)
class Mean:
    """What is kept of a call's streams for the time up to `at`."""

    call_id: UUID
    epoch: int
    at: datetime
    streams: list[dict[str, Any]]


@dataclass(slots=True)
class Gathered:
    """Rows of one call since the last time, by stream, way and viewer, and by layer where each comes by itself.

    Beside each row stands how many packets it tells of; `counts` is how many there were up to the last row.
    """

    due: datetime
    rows: dict[Key, list[tuple[Row, float]]] = field(default_factory=dict)
    counts: dict[Key, int] = field(default_factory=dict)


class QualityMeans:
    """Of all calls of a process. The first sample of a call is due at once, so that it can be looked at early."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._calls: dict[tuple[UUID, int], Gathered] = {}

    def add(self, call_id: UUID, epoch: int, at: datetime, streams: Iterable[Row]) -> None:
        """A worker told this of its call."""
        gathered = self._calls.setdefault((call_id, epoch), Gathered(at))
        for row in streams:
            key, packets = _key(row), row.get("packets") or 0
            before = gathered.counts.get(key, 0)
            gathered.counts[key] = packets
            told = packets - before if packets >= before else packets
            gathered.rows.setdefault(key, []).append((row, _expected(row, told)))

    def due(self, at: datetime) -> list[Mean]:
        """What is to be kept now. Calls of which nothing was told any more are forgotten."""
        found: list[Mean] = []
        for (call_id, epoch), gathered in list(self._calls.items()):
            if at < gathered.due:
                continue
            if gathered.rows:
                found.append(_mean_of(call_id, epoch, at, gathered))
                self._calls[call_id, epoch] = Gathered(at + self._every, counts=gathered.counts)
            else:
                del self._calls[call_id, epoch]
        return found

    def over(self, call_id: UUID, epoch: int, at: datetime) -> list[Mean]:
        """The worker tells no more of this call: what is left of it is to be kept now."""
        gathered = self._calls.pop((call_id, epoch), None)
        return [_mean_of(call_id, epoch, at, gathered)] if gathered and gathered.rows else []

    def all_over(self, at: datetime) -> list[Mean]:
        """What is left of every call; the process ends."""
        return [mean for call_id, epoch in list(self._calls) for mean in self.over(call_id, epoch, at)]


def _key(row: Row) -> Key:
    layer = row.get("layer") if row.get("direction") == "up" else None
    return row.get("stream_id"), row.get("direction"), row.get("to"), layer


def _expected(row: Row, told: int) -> float:
    """Packets that a share of loss is of: what is counted on the way up came in, on the way down it was sent."""
    loss = row.get("loss") or 0.0
    return told / (1 - loss) if row.get("direction") == "up" and loss < 1 else float(told)


def _mean_of(call_id: UUID, epoch: int, at: datetime, gathered: Gathered) -> Mean:
    return Mean(call_id, epoch, at, [_mean(rows) for rows in gathered.rows.values()])


def _mean(rows: list[tuple[Row, float]]) -> dict[str, Any]:
    """The newest row with the means of what varies; what nobody measured stays unknown. Loss is that of all packets."""
    mean = dict(rows[-1][0])
    for name in MEANS:
        known = [row[name] for row, _ in rows if row.get(name) is not None]
        if known:
            mean[name] = round(sum(known) / len(known), DIGITS)
    lost = [(row["loss"], packets) for row, packets in rows if row.get("loss") is not None]
    if every := sum(packets for _, packets in lost):
        mean["loss"] = round(sum(loss * packets for loss, packets in lost) / every, DIGITS)
    return mean
