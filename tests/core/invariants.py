"""The seven invariants, each checked on what a turn did; plain functions that raise AssertionError.

The numbers are those at the end of the scenarios. Nothing here asks the machine what it thinks: states are rebuilt
from events, deadlines and slots are compared with what the legs say.
"""

from dataclasses import replace
from datetime import timedelta

from service.core.calls import engaged_slots
from service.core.deadlines import deadline
from service.core.ringing import STOPPED_BY_ITSELF, Drop, verdict
from service.core.vocabulary import AlertKind, CallState, EventType, LegState, RingState

PENDING = {"invited", "ringing"}
JOINED = {"answered", "connected", "reconnecting"}
LIVE = PENDING | JOINED

TOLD_STATE = {
    # event: (states it may come from, states it may lead to)
    EventType.RINGING: ({"invited"}, {"ringing"}),
    EventType.ANSWERED: (PENDING, {"answered"}),
    EventType.JOINED: ({"answered"}, {"connected"}),
    EventType.RECONNECTING: ({"connected"}, {"reconnecting"}),
    EventType.RECONNECTED: ({"reconnecting"}, {"connected"}),
    EventType.DECLINED: (PENDING, {"declined", "not_supported"}),
    EventType.BUSY: (PENDING, {"busy"}),
    EventType.MISSED: (PENDING, {"missed"}),
    EventType.UNREACHABLE: (PENDING, {"unreachable"}),
    EventType.LEFT: (LIVE, {"canceled", "left", "failed", "replaced"}),
    EventType.REMOVED: (LIVE, {"removed"}),
}
TOLD_CALL = {
    # event: (states it may come from, state it leads to)
    EventType.CALL_RINGING: ({"dialing"}, "ringing"),
    EventType.CALL_ANSWERED: ({"dialing", "ringing"}, "connecting"),
    EventType.CALL_ACTIVE: ({"connecting"}, "active"),
    EventType.CALL_ENDED: ({"dialing", "ringing", "connecting", "active"}, "ended"),
}
CALL_ORDER = tuple(CallState)


class Replay:
    """Rebuilds a call from its events alone (invariants 3, 4 and 7).

    With `ring_initiator`, as `call.created` shows it, the initiator is invited as anybody and the first to be.
    """

    def __init__(self, initiator, *, ring_initiator=False):
        self.initiator = initiator
        self.ring_initiator = ring_initiator
        self.seq = 0
        self.call = None
        self.legs = {}
        self.attempts = {}
        self.missed = set()
        self.dials = None
        self.last_at = None

    def hear(self, event):
        assert event.seq == self.seq + 1, f"4: seq {event.seq} after {self.seq}"
        self.seq = event.seq
        assert self.last_at is None or event.occurred_at >= self.last_at, "time ran backwards"
        self.last_at = event.occurred_at
        assert self.call != "ended", f"3: {event.type} after call.ended"
        if event.type is EventType.CALL_CREATED:
            assert self.call is None
            self.call = "dialing"
            if not self.ring_initiator:
                self.legs[self.initiator], self.attempts[self.initiator] = {"answered"}, 1
        elif event.type in TOLD_CALL:
            before, after = TOLD_CALL[event.type]
            assert self.call in before, f"3: {event.type} while {self.call}"
            self.call = after
        else:
            self._hear_of_leg(event)

    def _hear_of_leg(self, event):
        user, state = event.user_id, self.legs.get(event.user_id, set())
        waits = self.ring_initiator and self.dials is None
        assert not waits or user in {None, self.initiator}, f"{event.type} {user} before the initiator picked up"
        if event.type is EventType.INVITED:
            assert not state & LIVE, f"3: {user} invited while {state}"
            self.legs[user], self.attempts[user] = {"invited"}, self.attempts.get(user, 0) + 1
        elif event.type in TOLD_STATE:
            before, after = TOLD_STATE[event.type]
            assert state <= before, f"3: {event.type} {user} while {state}"
            self.legs[user] = after
        elif event.type is EventType.CALL_MISSED:
            key = user, self.attempts[user]
            assert not state & LIVE, f"{user} missed while {state}"
            assert key not in self.missed, f"3: {user} missed twice"
            assert key != (self.initiator, 1), "somebody missed a call of their own"
            self.missed.add(key)
        elif event.details.get("change") == "dialing":
            assert self.dials is None, "the others were dialled twice"
            assert self.ring_initiator
            assert state <= JOINED, f"dialled while the initiator is {state}"
            self.dials = event.seq
        elif event.details.get("change") == "device":
            assert state <= JOINED, f"{user} moved while {state}"
            self.legs[user] = {"answered"}

    def equals(self, call):
        assert self.call == call.state, f"7: events say {self.call}, the call {call.state}"
        assert self.seq == call.seq, f"4: {self.seq} events, seq {call.seq}"
        assert set(self.legs) == {leg.user_id for leg in call.legs}
        for leg in call.legs:
            told = self.legs[leg.user_id]
            assert leg.state in told, f"7: events say {leg.user_id} is {told}, the leg {leg.state}"
            assert leg.attempt == self.attempts[leg.user_id], "7: attempts"


def check_turn(before, decision, now):
    """What one turn may do to a call; `before` is None for a dial."""
    after = decision.call
    if not decision.changed:
        assert after is before
        assert not decision.events
        return
    if decision.refusal:
        assert {event.cause.kind for event in decision.events} <= {"timer"}, "a refused command told something"
    for event in decision.events:
        late = round((now - event.occurred_at).total_seconds() * 1000)
        assert event.late_by_ms == late if event.cause.kind == "timer" else late <= 0
    if before is None:
        return
    assert CALL_ORDER.index(after.state) >= CALL_ORDER.index(before.state)
    if before.state is CallState.ENDED:
        assert not decision.events, "an ended call told something"
        assert _without_late_words(after) == _without_late_words(before), "an ended call changed"
    _check_alerts(before, after)


def _without_late_words(call):
    """The call without what providers said of pushes after its end."""
    plain = replace(call.copy(), touched_at=call.created_at)
    for leg in plain.legs:
        leg.rings = [_without_push(ring) for ring in leg.rings]
    return plain


def _without_push(ring):
    return replace(ring, pushed_at=None, sent_at=None)


def _check_alerts(before, after):
    """Every alert has one end, and nothing is alerted twice in one attempt (invariant 5)."""
    now = {ring.id: ring for leg in after.legs for ring in leg.rings}
    assert len(now) == sum(len(leg.rings) for leg in after.legs), "5: two alerts with one id"
    for leg in before.legs:
        for ring in leg.rings:
            if not ring.open and ring.state is not RingState.FAILED:
                assert _without_push(now[ring.id]) == _without_push(ring), "5: a stopped alert changed"


def check_plan(call, alerts):
    """Whoever was woken by a push is told by one that it is over, and nobody is woken by what has ended (19)."""
    for leg in call.legs:
        for ring in leg.rings:
            stops = [alert for alert in alerts if alert.kind is AlertKind.STOP and alert.ring_id == ring.id]
            wants = ring.state is RingState.STOPPED and ring.pushed_at and ring.stop_reason not in STOPPED_BY_ITSELF
            assert bool(stops) == bool(wants), f"5: {len(stops)} stops pushed for {ring}"
            last = max((alert.due_at for alert in stops), default=None)
            assert last is None or last >= ring.pushed_at, f"5: pushed after its last stop: {ring}"
    if call.ended:
        rings = [alert for alert in alerts if alert.kind in {AlertKind.RING, AlertKind.FALLBACK}]
        assert all(isinstance(verdict(call, alert, 0, call.touched_at), Drop) for alert in rings), "rings after the end"


def check_call(call, leased):
    """What is true of every call at rest. `leased(leg)`: somebody would notice if that leg's device vanished."""
    for leg in call.legs:
        _check_leg(leg)
    talking = sum(leg.in_media for leg in call.legs) >= 2 and not call.ended
    assert (call.talk_since is not None) == talking, "talk time"
    if call.ended:
        assert not any(leg.state in LIVE for leg in call.legs), "3: a live leg in an ended call"
        assert call.end_reason
        assert call.ended_at
        assert call.ended_by
        assert deadline(call) is None
        assert engaged_slots(call) == {}
        return
    _check_two(call)
    _check_lease(call, leased)


def _check_leg(leg):
    live = leg.state in LIVE
    assert live == (leg.end_reason is None) == (leg.ended_at is None), "how it ended"
    assert live or leg.lost_at is None
    assert (leg.state in PENDING) == (leg.ring_deadline is not None), "1: a ring without a deadline"
    for ring in leg.rings:
        if ring.open:
            assert leg.state in PENDING, f"5: a {leg.state} leg still alerts {ring.device_id}"
            assert ring.attempt == leg.attempt, "5: an old attempt still alerts"
        else:
            assert (ring.state is RingState.STOPPED) == (ring.stop_reason is not None), "5: why it stopped"
    assert sum(ring.state is RingState.ANSWERED and ring.attempt == leg.attempt for ring in leg.rings) <= 1


def _check_two(call):
    """The fewer-than-two rule (invariant 6)."""
    joined = sum(leg.state in JOINED for leg in call.legs)
    pending = sum(leg.state in PENDING for leg in call.legs)
    if call.awaited:
        assert call.ring_initiator
        assert (len(call.legs), pending) == (1, 1), "6: somebody waits for nobody"
        assert (call.state, call.answered_at, call.room) == (CallState.DIALING, None, None)
        return
    if not call.group:
        assert joined + pending == 2, "6: not two in a one-to-one call"
    if call.answered_at is None:
        assert pending, "6: an unanswered call that rings nobody"
        assert call.state in {CallState.DIALING, CallState.RINGING}
        return
    assert call.state in {CallState.CONNECTING, CallState.ACTIVE}
    assert joined + pending, "6: an empty call goes on"
    lonely = call.group and not pending and joined < call.policy.min_connected
    assert lonely == (call.alone_since is not None), "6: alone and nobody counts, or counted and not alone"


def _check_lease(call, leased):
    """Without a deadline a call lives by the leases of connected devices alone (invariant 1)."""
    if deadline(call) is None or (call.talk_since and call.policy.max_duration_s):
        held = [leg for leg in call.legs if leg.state in LIVE]
        for leg in held:
            if leg.state is not LegState.CONNECTED:
                assert deadline(call) is not None, f"1: {leg.user_id} is {leg.state} without a deadline"
            else:
                assert leased(leg), f"1: nobody would notice if {leg.user_id} vanished"
    for leg in call.legs:
        if leg.state is LegState.RECONNECTING:
            assert leg.lost_at is not None, "1: lost since never"


def nothing_overdue(call, now):
    """After a turn at `now` nothing that fell due by then is left (scenarios 12, 16)."""
    due = deadline(call)
    assert due is None or due > now, f"1: overdue since {due}"


def soon(call, now, limit=timedelta(days=1)):
    """Deadlines are near: no graces that nobody would live to see."""
    due = deadline(call)
    assert due is None or due - now <= limit
