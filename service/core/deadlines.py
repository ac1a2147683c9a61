"""Deadlines are data: when a call must be touched next, and what happens then."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from service.core.calls import SERVER, Call, Leg
from service.core.ending import conclude, end_call, miss, restate
from service.core.routing import lose_media
from service.core.turn import Cause, Turn
from service.core.vocabulary import EndReason, EventType, LegState

WARN_BEFORE_S = 30


class Timer(StrEnum):
    """What can fall due in a call."""

    RING = "ring_timeout"
    CONNECT = "connect_timeout"
    RECONNECT = "reconnect_grace"
    CALLER_LEASE = "caller_lease"
    ALONE = "alone_grace"
    MAX_DURATION_WARNING = "max_duration_warning"
    MAX_DURATION = "max_duration"
    MEDIA_START = "media_start"
    MEDIA_MOVE = "media_move"


CALL_TIMERS: Mapping[Timer, EndReason] = MappingProxyType(
    {
        Timer.CALLER_LEASE: EndReason.CALLER_LOST,
        Timer.ALONE: EndReason.LAST_LEFT,
        Timer.MAX_DURATION: EndReason.MAX_DURATION,
        Timer.MEDIA_START: EndReason.MEDIA_FAILED,
    },
)

Due = tuple[datetime, Timer, str]


def deadline(call: Call) -> datetime | None:
    """When the next timer of the call falls due; `None` when the call is over or waits for live connections only."""
    return min((due[0] for due in dues(call)), default=None)


def dues(call: Call) -> Iterator[Due]:
    """Every running timer of the call with the user it concerns (or an empty string)."""
    if call.ended:
        return
    policy = call.policy
    for leg in call.legs:
        yield from _leg_dues(call, leg)
    caller = call.caller
    if call.answered_at is None and caller.joined and caller.lost_at:
        yield caller.lost_at + timedelta(seconds=policy.caller_lease_s), Timer.CALLER_LEASE, caller.user_id
    if call.alone_since:
        yield call.alone_since + timedelta(seconds=policy.alone_grace_s), Timer.ALONE, ""
    if call.room and call.room.host is None:
        yield call.room.since + timedelta(seconds=policy.media_start_s), Timer.MEDIA_START, ""
    if policy.max_duration_s and call.talk_since:
        end = call.talk_since + timedelta(seconds=policy.max_duration_s, milliseconds=-call.talk_ms)
        if not call.warned and policy.max_duration_s > WARN_BEFORE_S:
            yield end - timedelta(seconds=WARN_BEFORE_S), Timer.MAX_DURATION_WARNING, ""
        yield end, Timer.MAX_DURATION, ""


def _leg_dues(call: Call, leg: Leg) -> Iterator[Due]:
    if leg.pending and leg.ring_deadline:
        yield leg.ring_deadline, Timer.RING, leg.user_id
    elif leg.state is LegState.ANSWERED and call.answered_at and leg.answered_at:
        since = max(leg.answered_at, call.answered_at)
        yield since + timedelta(seconds=call.policy.connect_timeout_s), Timer.CONNECT, leg.user_id
    elif leg.state is LegState.RECONNECTING and leg.lost_at:
        yield leg.lost_at + timedelta(seconds=call.policy.reconnect_grace_s), Timer.RECONNECT, leg.user_id
    if leg.in_media and leg.moved_at:
        yield leg.moved_at + timedelta(seconds=call.policy.connect_timeout_s), Timer.MEDIA_MOVE, leg.user_id


def settle(turn: Turn) -> None:
    """Apply every overdue timer, oldest first, as of the moment it was due (scenarios 12, 13, 16)."""
    while True:
        due = min((due for due in dues(turn.call) if due[0] <= turn.now), default=None)
        if due is None:
            return
        at, timer, user_id = due
        turn.set_time(at, Cause("timer", timer.value, SERVER))
        _fire(turn, timer, turn.call.leg(user_id))
        restate(turn)


def _fire(turn: Turn, timer: Timer, leg: Leg | None) -> None:
    if timer is Timer.MAX_DURATION_WARNING:
        turn.call.warned = True
        turn.tell(EventType.CALL_UPDATED, warning="max_duration", ends_in_s=WARN_BEFORE_S)
    elif timer is Timer.RING and leg:
        miss(turn, leg)
        conclude(turn)
    elif timer is Timer.CONNECT and leg:
        _give_up(turn, leg, EndReason.CONNECT_TIMEOUT)
    elif timer is Timer.MEDIA_MOVE and leg:
        lose_media(turn, leg)
    elif timer is Timer.RECONNECT and leg:
        _give_up(turn, leg, EndReason.CONNECTION_LOST)
    else:
        end_call(turn, CALL_TIMERS[timer])


def _give_up(turn: Turn, leg: Leg, reason: EndReason) -> None:
    if turn.call.group:
        turn.finish_leg(leg, LegState.FAILED, reason)
        conclude(turn)
    else:
        if reason is EndReason.CONNECTION_LOST:
            turn.finish_leg(leg, LegState.FAILED, reason)
        end_call(turn, reason)
