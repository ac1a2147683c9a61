"""The ways out: cancel, hang up, be removed, be ended."""

from service.core.calls import Actor, Call, Leg
from service.core.commands import Cancel, End, HangUp, Remove, Slot, UserCommand
from service.core.ending import conclude, end_call
from service.core.refusals import Code, Refusal
from service.core.turn import Turn, refuse
from service.core.vocabulary import ActorType, EndReason, LegState


def cancel(turn: Turn, command: Cancel, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The initiator gives up; after an answer this is a hang-up (scenario 9)."""
    if leg is not turn.call.caller:
        return refuse(Code.NOT_INITIATOR, "only the initiator can cancel; use decline or hangup")
    _leave(turn, command, leg)
    return None


def leave_early(turn: Turn, command: UserCommand, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The initiator gives up while its own phone rings; a callee that still rings declines instead (scenario 51)."""
    if not turn.call.outgoing(leg):
        return _unanswered()
    _leave(turn, command, leg)
    return None


def cancel_late(turn: Turn, _command: Cancel, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Whoever has not taken the call cannot cancel it either; it may be the initiator's own ring that is over."""
    return closed(turn.call) if leg is turn.call.caller else _unanswered()


def _unanswered() -> Refusal:
    return refuse(Code.NOT_INITIATOR, "the call has not been answered; use decline")


def hang_up(turn: Turn, command: HangUp, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Leave; in a one-to-one call the first hang-up ends it for both (scenarios 30, 31, 33)."""
    _leave(turn, command, leg)
    return None


def _leave(turn: Turn, command: UserCommand, leg: Leg) -> None:
    call = turn.call
    by = command.actor if command.actor.type is ActorType.API else Actor(ActorType.USER, leg.user_id)
    if leg is call.caller and call.answered_at is None:
        end_call(turn, EndReason.CANCELED, by)
    elif call.group:
        turn.finish_leg(leg, LegState.LEFT, EndReason.HANGUP, by)
        conclude(turn, by)
    else:
        end_call(turn, EndReason.HANGUP, by)


def left_before(turn: Turn, command: UserCommand, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Leaving twice is fine for the one who left; anybody else is told that it is over."""
    call = turn.call
    if isinstance(command, Cancel) and leg is not call.caller:
        return refuse(Code.NOT_INITIATOR, "only the initiator can cancel; use decline or hangup")
    if leg.by and leg.by.id in {leg.user_id, command.actor.id}:
        return None
    return closed(call)


def over(turn: Turn, _command: UserCommand, _leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Nothing to do any more: the call has ended, or this participant's part in it has."""
    return closed(turn.call)


def closed(call: Call) -> Refusal:
    """What somebody hears whose part is over."""
    if call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    return refuse(Code.NOT_RINGING, "you are no longer in this call; use join to come back")


def remove(turn: Turn, command: Remove) -> Refusal | None:
    """Take a participant out; a one-to-one call cannot go on without (scenarios 38, 60).

    The tokens it has for this call are worth nothing from now on, even when it is invited again.
    """
    leg = turn.call.leg(command.target)
    if leg is None:
        return refuse(Code.NOT_PARTICIPANT, "no such participant in this call", command.target)
    if turn.call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {turn.call.end_reason}")
    if not leg.live:
        return None
    leg.tokens_from = turn.at
    answered = turn.call.answered_at is not None or leg is not turn.call.caller
    turn.finish_leg(leg, LegState.REMOVED, command.reason, command.actor)
    if turn.call.group and answered:
        conclude(turn, command.actor)
    else:
        end_call(turn, command.reason, command.actor)
    return None


def end(turn: Turn, command: End) -> Refusal | None:
    """End it for everybody; ending twice is fine."""
    if not turn.call.ended:
        end_call(turn, command.reason, command.actor)
    return None
