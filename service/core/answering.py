"""While it rings: acknowledge, silence, answer, decline."""

from typing import Any

from service.core.calls import Actor, Leg, Ring
from service.core.commands import Ack, Answer, Decline, Silence, Slot, UserCommand
from service.core.ending import conclude
from service.core.refusals import Code, Refusal
from service.core.routing import grow, want_room
from service.core.talking import come_up
from service.core.turn import Turn, refuse
from service.core.vocabulary import (
    TYPE_RANK,
    UNPROVEN_RING,
    ActorType,
    DeclineReason,
    EndReason,
    EventType,
    LegState,
    RingState,
    StopReason,
)


def acknowledge(turn: Turn, command: Ack, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """A device alerts: the only thing that makes a leg and a call `ringing`. One that but heard is not pushed again.

    A device that nobody had rung has found the call by itself: from now on it is one that rings (invariant 5).
    """
    ring = leg.ring_of(command.device_id)
    if ring and ring.state in UNPROVEN_RING:
        _prove(turn, command, leg, ring)
    elif ring and not ring.open:
        return refuse(Code.NOT_RINGING, "this device's ring has already stopped", leg.user_id)
    elif ring is None and command.device_id is not None and turn.call.rings(leg):
        turn.record_ring(leg, command.device_id)
    if leg.state is LegState.INVITED and command.alerting:
        leg.state, leg.ringing_at = LegState.RINGING, turn.at
        turn.tell(EventType.RINGING, leg.user_id, device_id=command.device_id)
    return None


def _prove(turn: Turn, command: Ack, leg: Leg, ring: Ring) -> None:
    """The device has heard of its ring. For one that a push woke, that is news of its own."""
    first = ring.delivered_at is None
    ring.delivered_at = ring.delivered_at or turn.at
    ring.sent_at = ring.sent_at or turn.at
    if command.alerting:
        ring.state, ring.alerting_at = RingState.ALERTING, turn.at
    else:
        ring.state = RingState.DELIVERED
    if first and ring.pushed_at:
        notification = {"device_id": ring.device_id, "ring_id": ring.id, "channel": ring.provider}
        turn.tell(EventType.NOTIFICATION_DELIVERED, leg.user_id, notification=notification)


def silence(turn: Turn, command: Silence, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """No more noise on any device of this user; the caller hears ringing until the deadline (scenario 8)."""
    for ring in leg.open_rings():
        if ring.state is not RingState.SILENCED:
            ring.state, ring.silenced_at = RingState.SILENCED, turn.at
            ring.silenced_here = ring.device_id == command.device_id
    return None


def accept(turn: Turn, command: UserCommand, leg: Leg, engaged: tuple[Slot, ...]) -> Refusal | None:
    """Take the call, and whatever follows from that."""
    if engaged and not turn.call.rings(leg):
        return refuse(Code.INITIATOR_BUSY, "you are in another call", leg.user_id)
    refusal = take(turn, command, leg)
    if refusal:
        return refusal
    if isinstance(command, Answer) and command.common_type:
        _lower_type(turn, command)
    if turn.call.answered_at is None:
        _first_answer(turn, leg)
    grow(turn)
    conclude(turn)
    return None


def take(turn: Turn, command: UserCommand, leg: Leg) -> Refusal | None:
    """Answer on one device; every other device of the user stops (scenarios 4, 5)."""
    ring = leg.ring_of(command.device_id)
    if ring and ring.state is RingState.STOPPED:
        return refuse(Code.NOT_RINGING, "this device's ring has already stopped", leg.user_id)
    if ring and ring.open:
        ring.state, ring.ended_at = RingState.ANSWERED, turn.at
    turn.stop_rings(leg, StopReason.ANSWERED_ELSEWHERE)
    leg.state, leg.device_id, leg.answered_at = LegState.ANSWERED, command.device_id, turn.at
    leg.ring_deadline = None
    glare: dict[str, Any] = {"merged": True} if isinstance(command, Answer) and command.common_type else {}
    turn.tell(EventType.ANSWERED, leg.user_id, device_id=command.device_id, **glare)
    return None


def _first_answer(turn: Turn, winner: Leg) -> None:
    call = turn.call
    call.answered_at = turn.at
    turn.tell(EventType.CALL_ANSWERED, winner.user_id)
    for leg in call.legs:
        come_up(turn, leg)
    want_room(turn)
    if call.policy.hunt:
        _stop_hunt(turn, winner)


def _lower_type(turn: Turn, command: Answer) -> None:
    """A merged glare carries the media both asked for, never silently video (scenario 1)."""
    call = turn.call
    if command.common_type and TYPE_RANK[command.common_type] < TYPE_RANK[call.call_type]:
        call.call_type = command.common_type
        for leg in call.legs:
            leg.media.video = False


def _stop_hunt(turn: Turn, winner: Leg) -> None:
    """The first takes it; the others stop, told by whom, and did not miss anything (scenario 61).

    From then on it is a call of two, and the first hang-up ends it for both.
    """
    turn.call.group = False
    by = Actor(ActorType.USER, winner.user_id)
    for leg in turn.call.pending():
        turn.finish_leg(
            leg,
            LegState.CANCELED,
            EndReason.CANCELED,
            by,
            stop=StopReason.ANSWERED_ELSEWHERE,
            answered_by=winner.user_id,
        )


def answer_again(turn: Turn, command: UserCommand, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The same device repeats its answer: nothing; another device lost the race (scenario 4)."""
    if leg is turn.call.caller and leg.device_id is None:
        leg.device_id = command.device_id
        return None
    if command.device_id == leg.device_id:
        return None
    return refuse(Code.ALREADY_ANSWERED, "the call was answered on another device", leg.user_id)


def decline(turn: Turn, command: Decline, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Refuse the ring: for the user, or for one device when that device only cannot take it (scenarios 7, 52)."""
    if command.reason in {DeclineReason.BUSY, DeclineReason.NOT_SUPPORTED}:
        return _one_device_declines(turn, command, leg)
    by = Actor(ActorType.USER, leg.user_id)
    leg.message = command.message
    turn.stop_rings(leg, StopReason.DECLINED_ELSEWHERE, command.device_id, StopReason.DECLINED_HERE)
    if command.reason is DeclineReason.NO_ANSWER:
        turn.finish_leg(
            leg,
            LegState.MISSED,
            EndReason.NO_ANSWER,
            by,
            decline=DeclineReason.NO_ANSWER,
            missed=True,
        )
    else:
        turn.finish_leg(leg, LegState.DECLINED, EndReason.DECLINED, by, decline=command.reason)
    conclude(turn, by)
    return None


def declined_late(_turn: Turn, _command: Decline, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """`no_answer` was said before: nothing; a ring that expired by itself cannot be declined any more (scenario 11)."""
    if leg.decline_reason is DeclineReason.NO_ANSWER:
        return None
    return refuse(Code.RING_EXPIRED, "the ring expired before that", leg.user_id)


def _one_device_declines(turn: Turn, command: Decline, leg: Leg) -> Refusal | None:
    unsupported = command.reason is DeclineReason.NOT_SUPPORTED
    ring = leg.ring_of(command.device_id)
    if ring and ring.open:
        turn.stop_ring(ring, StopReason.NOT_SUPPORTED if unsupported else StopReason.DECLINED_HERE)
    if command.device_id is not None and any(leg.open_rings()):
        return None
    by = Actor(ActorType.USER, leg.user_id)
    state, reason = (
        (LegState.NOT_SUPPORTED, EndReason.NOT_SUPPORTED) if unsupported else (LegState.BUSY, EndReason.BUSY)
    )
    leg.message = command.message
    stop = StopReason.NOT_SUPPORTED if unsupported else StopReason.DECLINED_ELSEWHERE
    turn.finish_leg(leg, state, reason, by, stop=stop, decline=command.reason, missed=not unsupported)
    conclude(turn, by)
    return None
