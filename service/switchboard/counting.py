"""What is told of calls, as metrics."""

from collections.abc import Sequence

from service.core.vocabulary import EventType
from service.switchboard.chronicle import moved_in
from service.telemetry.metrics import Metrics
from service.wire.feed import Told

CREATED = EventType.CALL_CREATED.value
ENDED = EventType.CALL_ENDED.value
RINGING = EventType.RINGING.value


class Counting:
    """A listener of the switchboard, and what it says of commands."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def told(self, batch: Sequence[Told]) -> None:
        """Count calls that began and ended, and how long a phone took to ring."""
        for told in batch:
            types = {envelope.type for envelope in told.envelopes}
            if CREATED in types:
                self._metrics.calls_created.inc()
            if ENDED in types:
                self._metrics.calls_ended.labels(told.call.end_reason or "").inc()
            if RINGING in types:
                self._ringing(told)
            if moved_in(told):
                self._metrics.calls_moved.inc()

    def _ringing(self, told: Told) -> None:
        for leg in told.call.legs:
            if leg.ringing_at and leg.ringing_at == told.call.touched_at:
                self._metrics.ring_latency.observe((leg.ringing_at - leg.invited_at).total_seconds())

    def command(self, name: str, outcome: str) -> None:
        """A command was carried out (`ok`) or refused (the refusal's code)."""
        self._metrics.commands.labels(name, outcome).inc()
