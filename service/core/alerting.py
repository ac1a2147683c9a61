"""What became of the alerts that go by providers: evidence in the call, and told (B-19, B-22)."""

from service.core.calls import Leg, Ring
from service.core.commands import FellBack, Pushed, Slot
from service.core.refusals import Refusal
from service.core.turn import Turn
from service.core.vocabulary import UNTOLD_RING, Channel, EventType, RingState


def pushed(turn: Turn, command: Pushed, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """A provider took the ring's push, or refused it for good; the other devices ring on (scenario 15).

    What the provider of an earlier registration refuses means nothing for the present one.
    """
    ring = _ring(leg, command)
    if ring is None or not (ring.open or ring.state is RingState.FAILED):
        return pushed_late(turn, command, leg, ())
    if command.perhaps:
        ring.pushed_at = ring.pushed_at or turn.at
        return None
    if command.accepted:
        ring.pushed_at = ring.pushed_at or turn.at
        if ring.state in UNTOLD_RING:
            ring.state, ring.sent_at = RingState.SENT, ring.sent_at or turn.at
        turn.tell(EventType.NOTIFICATION_SENT, leg.user_id, notification=_told(ring, command))
        return None
    if ring.provider is None or command.channel is Channel(ring.provider):
        ring.failure = command.reason
        if ring.state is RingState.QUEUED and ring.pushed_at is None:
            ring.state = RingState.FAILED
    turn.tell(EventType.NOTIFICATION_FAILED, leg.user_id, notification=_told(ring, command))
    return None


def pushed_late(turn: Turn, command: Pushed, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The provider's word came after the ring's end. What it took must be taken back (scenario 19).

    Each such word, because the device may have rung again after the stop before.
    """
    ring = _ring(leg, command)
    if ring and (command.accepted or command.perhaps):
        ring.pushed_at = turn.at
        if not command.perhaps:
            ring.sent_at = ring.sent_at or turn.at
    return None


def fell_back(turn: Turn, command: FellBack, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Nobody acknowledged, and the person was told by e-mail or message; or could not be (B-19)."""
    if command.attempt != leg.attempt:
        return None
    if command.accepted:
        leg.fallback_at = leg.fallback_at or turn.at
    notification = {
        "channel": command.channel.value,
        "accepted": command.accepted,
        "provider_id": command.provider_id,
        "reason": command.reason,
    }
    turn.tell(EventType.NOTIFICATION_FALLBACK, leg.user_id, notification=notification)
    return None


def _ring(leg: Leg, command: Pushed) -> Ring | None:
    return next((ring for ring in leg.rings if ring.id == command.ring_id), None)


def _told(ring: Ring, command: Pushed) -> dict[str, object]:
    return {
        "device_id": ring.device_id,
        "ring_id": ring.id,
        "channel": command.channel.value,
        "number": command.number,
        "provider_id": command.provider_id,
        "reason": command.reason,
    }
