"""How calls end: one leg's end and what it means for the others."""

from datetime import timedelta

from service.core.calls import SERVER, Actor, Call, Leg
from service.core.turn import Turn
from service.core.vocabulary import (
    CallState,
    EndReason,
    EventType,
    LegState,
    StopReason,
)

FAILURES = frozenset(
    {EndReason.CONNECT_TIMEOUT, EndReason.MEDIA_FAILED, EndReason.ERROR},
)


def end_call(turn: Turn, reason: EndReason, by: Actor = SERVER) -> None:
    """End the call for everybody: open legs first, `call.ended` last (scenario 33)."""
    call = turn.call
    for leg in call.legs:
        if leg.pending:
            _end_pending(turn, leg, reason, by)
        elif leg.joined:
            state = LegState.FAILED if reason in FAILURES else LegState.LEFT
            turn.finish_leg(leg, state, reason, by)
    keep_talk_time(turn)
    call.state, call.ended_at, call.end_reason, call.ended_by = CallState.ENDED, turn.at, reason, by
    call.alone_since = None
    call.upgrade_from = None
    turn.tell(EventType.CALL_ENDED)


def _end_pending(turn: Turn, leg: Leg, reason: EndReason, by: Actor) -> None:
    """A leg that still rang ends with its call: canceled, or failed when the service is to blame (scenario 10)."""
    if reason in FAILURES:
        turn.finish_leg(leg, LegState.FAILED, reason, by, stop=StopReason.ERROR, missed=True)
    else:
        turn.finish_leg(leg, LegState.CANCELED, reason, by, missed=True)


def miss(turn: Turn, leg: Leg) -> None:
    """The leg's ring deadline passed: missed, or unreachable when no alert was ever accepted (scenarios 14, 17)."""
    accepted = (
        not turn.call.rings(leg)
        or leg.ringing_at is not None
        or leg.fallback_at is not None
        or any(ring.sent_at for ring in leg.rings if ring.attempt == leg.attempt)
    )
    state, reason = (
        (LegState.MISSED, EndReason.NO_ANSWER) if accepted else (LegState.UNREACHABLE, EndReason.UNREACHABLE)
    )
    turn.finish_leg(leg, state, reason, stop=StopReason.TIMED_OUT, missed=True)


def conclude(turn: Turn, by: Actor = SERVER) -> None:
    """After a leg ended or came in: does the call end, or is somebody alone in it? (scenarios 28 to 34, invariant 6)"""
    call = turn.call
    if call.ended:
        return
    if call.awaited:
        if not call.pending():
            end_call(turn, _alike(call), by)
        return
    if not call.group:
        if sum(leg.live for leg in call.legs) < 2:
            end_call(turn, _alike(call), by)
        return
    joined, pending = call.joined(), call.pending()
    if call.answered_at is None:
        if not pending:
            end_call(turn, _alike(call), by)
    elif not pending and not joined:
        end_call(turn, EndReason.LAST_LEFT, by)
    elif not pending and len(joined) < call.policy.min_connected:
        call.alone_since = call.alone_since or turn.at
    else:
        call.alone_since = None


def _alike(call: Call) -> EndReason:
    """The common reason of all callees, else `no_answer` (scenario 29); of the initiator, if it alone was rung."""
    reasons = {leg.end_reason for leg in call.callees() or call.legs}
    only = reasons.pop() if len(reasons) == 1 else None
    return only or EndReason.NO_ANSWER


def restate(turn: Turn) -> None:
    """Bring the call's state up to its legs; it never goes backwards."""
    call = turn.call
    if call.ended:
        return
    keep_talk_time(turn)
    if call.state is not CallState.ACTIVE and _talking(call):
        call.state, call.active_at = CallState.ACTIVE, turn.at
        turn.tell(EventType.CALL_ACTIVE)
    elif call.state in {CallState.DIALING, CallState.RINGING} and call.answered_at:
        call.state = CallState.CONNECTING
    elif call.state is CallState.DIALING and _alerting(call):
        call.state, call.ringing_at = CallState.RINGING, turn.at
        turn.tell(EventType.CALL_RINGING)


def _talking(call: Call) -> bool:
    return sum(leg.in_media for leg in call.legs) >= 2


def _alerting(call: Call) -> bool:
    return any(leg.state is LegState.RINGING for leg in call.callees())


def keep_talk_time(turn: Turn) -> None:
    """Talk time counts only while two are connected (scenarios 44 and 50)."""
    call = turn.call
    talking = _talking(call)
    if talking and call.talk_since is None:
        call.talk_since = turn.at
    elif not talking and call.talk_since is not None:
        call.talk_ms += (turn.at - call.talk_since) // timedelta(milliseconds=1)
        call.talk_since = None
