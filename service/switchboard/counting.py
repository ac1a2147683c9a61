"""What is told of calls, as metrics."""

from collections.abc import Sequence

from service.core.calls import Ring
from service.core.turn import TERMINAL_EVENT
from service.core.vocabulary import AlertKind, Channel, EventType, RingState
from service.switchboard.chronicle import moved_in
from service.telemetry.metrics import Metrics
from service.wire.feed import Told

CREATED = EventType.CALL_CREATED.value
ENDED = EventType.CALL_ENDED.value
RINGING = EventType.RINGING.value
ANSWERED = EventType.ANSWERED.value
REACTED = frozenset({ANSWERED, *(event.value for event in TERMINAL_EVENT.values())})
"""What ends the alerts of a leg that was being rung."""
MOST_REASONS = 50
OTHER = "other"


class Counting:
    """A listener of the switchboard, and what it says of commands."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._words: dict[Channel, set[str]] = {}

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
            self._devices(told)

    def _ringing(self, told: Told) -> None:
        for leg in told.call.legs:
            if leg.ringing_at and leg.ringing_at == told.call.touched_at:
                self._metrics.ring_latency.observe((leg.ringing_at - leg.invited_at).total_seconds())

    def _devices(self, told: Told) -> None:
        """What became of the devices' alerts of legs that were answered or ended in this turn (B-22)."""
        for envelope in told.envelopes:
            leg = told.call.leg(envelope.user_id) if envelope.user_id else None
            if leg is None or envelope.type not in REACTED or (envelope.type != ANSWERED and leg.answered_at):
                continue
            for ring in leg.rings:
                if ring.attempt == leg.attempt:
                    self._ring(ring)

    def _ring(self, ring: Ring) -> None:
        labels = (
            ring.platform or "unknown",
            ring.provider or "none" if ring.pushed_at or ring.via == "push" else "socket",
        )
        self._metrics.device_rings.labels(*labels, _outcome(ring)).inc()
        if ring.alerting_at:
            self._metrics.device_ring.labels(*labels).observe((ring.alerting_at - ring.queued_at).total_seconds())

    def alert(self, channel: Channel, kind: AlertKind, outcome: str, reason: str | None, seconds: float) -> None:
        """A provider was asked to take an alert, and answered after so long; `reason` is there when it did not."""
        self._metrics.alerts.labels(channel, kind, outcome).inc()
        self._metrics.provider_latency.labels(channel).observe(seconds)
        if reason:
            self._metrics.alert_errors.labels(channel, self._word(channel, reason)).inc()

    def _word(self, channel: Channel, reason: str) -> str:
        """A reason as it is counted: its first word, and no more different ones than a page of metrics bears.

        Some reasons are whatever somebody else's server says.
        """
        word = reason.split(maxsplit=1)[0]
        words = self._words.setdefault(channel, set())
        if len(words) < MOST_REASONS:
            words.add(word)
        return word if word in words else OTHER

    def command(self, name: str, outcome: str) -> None:
        """A command was carried out (`ok`) or refused (the refusal's code)."""
        self._metrics.commands.labels(name, outcome).inc()


def _outcome(ring: Ring) -> str:
    """How far an alert got: answered; shown; woken; silent, if nothing was heard of the device; failed; unsent."""
    if ring.state in {RingState.ANSWERED, RingState.FAILED}:
        return ring.state.value
    if ring.alerting_at:
        return "shown"
    if ring.delivered_at:
        return "woken"
    return "silent" if ring.sent_at or ring.pushed_at else "unsent"
