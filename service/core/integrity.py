"""The invariants over what is kept of a call (3-scenarios): plain checks that name who is wrong, and how.

The numbers are those at the end of the scenarios. Chains (4) are checked where hashes are made, what the events say
(3, 7) in `replay.py`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.core.calls import Call, Leg, Ring, engaged_slots
from service.core.deadlines import deadline
from service.core.replay import Breach
from service.core.ringing import STOPPED_BY_ITSELF
from service.core.robots import is_robot
from service.core.vocabulary import CallState, LegState, RingState

OVERDUE_S = 10
"""So late a deadline may be settled on a busy day."""


@dataclass(slots=True, frozen=True)
class Surroundings:
    """What is kept beside a call, all of one moment.

    `slots` are the users that count as engaged by this call; `held` the devices (user, device) with a live connection
    or one that was live a moment ago; `stops` how many stops were put on the way for each ring, `None` when that has
    been forgotten. `sandbox`: test users need no connection.
    """

    now: datetime
    slots: Mapping[str, int] = field(default_factory=dict)
    held: Collection[tuple[str, str]] = ()
    stops: Mapping[str, int] | None = None
    sandbox: bool = False


def broken(call: Call, around: Surroundings) -> Iterator[Breach]:
    """Every invariant that does not hold of a call at rest."""
    yield from _overdue(call, around.now)
    yield from _unheld(call, around)
    if not call.ended:
        yield from _engaged(call, around.slots)
        yield from _fewer_than_two(call)
    yield from _ended_once(call)
    for leg in call.legs:
        yield from _rings(leg)
        yield from _stops(leg, around.stops)


def _overdue(call: Call, now: datetime) -> Iterator[Breach]:
    due = deadline(call)
    late = now - due if due else timedelta()
    if late > timedelta(seconds=OVERDUE_S):
        yield Breach(1, f"the call should have been settled {round(late.total_seconds())} s ago")


def _unheld(call: Call, around: Surroundings) -> Iterator[Breach]:
    """A place in a call that nothing would end: no timer runs, and no device holds it.

    Whom a media worker carries, the worker reports; whom nobody counts as engaged is named for that.
    """
    for leg in call.legs:
        if leg.pending and leg.ring_deadline is None:
            yield Breach(1, "rings without an end", leg.user_id)
        elif leg.state is LegState.RECONNECTING and leg.lost_at is None:
            yield Breach(1, "is awaited back without an end", leg.user_id, leg.device_id)
        elif leg.state is LegState.CONNECTED and call.room is None and leg.device_id and leg.user_id in around.slots:
            robot = around.sandbox and is_robot(leg.user_id, leg.device_id)
            if not robot and (leg.user_id, leg.device_id) not in around.held:
                yield Breach(1, "is in the call with a device that has no connection", leg.user_id, leg.device_id)


def _engaged(call: Call, slots: Mapping[str, int]) -> Iterator[Breach]:
    wanted = engaged_slots(call)
    for user_id in sorted(wanted.keys() - slots.keys()):
        yield Breach(2, "is in the call, but does not count as busy", user_id)
    for user_id in sorted(slots.keys() - wanted.keys()):
        yield Breach(2, "counts as busy with the call, but has no part in it any more", user_id)
    for user_id in sorted(wanted.keys() & slots.keys()):
        if wanted[user_id] != slots[user_id]:
            text = f"counts as busy with it as call {slots[user_id] + 1}, but it is call {wanted[user_id] + 1}"
            yield Breach(2, text, user_id)


def _ended_once(call: Call) -> Iterator[Breach]:
    for leg in call.legs:
        over = leg.end_reason is not None and leg.ended_at is not None
        if leg.live and call.ended:
            yield Breach(3, f"is {leg.state} in a call that has ended", leg.user_id)
        elif leg.live == over:
            yield Breach(3, f"is {leg.state}, {'with' if over else 'without'} an end and a reason", leg.user_id)
    whole = call.end_reason is not None and call.ended_at is not None and call.ended_by is not None
    if call.ended != whole:
        yield Breach(3, f"the call is {call.state}, {'with' if whole else 'without'} an end, a reason and who ended it")


def _rings(leg: Leg) -> Iterator[Breach]:
    """Every device that was alerted has one stop or answer."""
    for ring in leg.rings:
        if ring.open and (not leg.pending or ring.attempt != leg.attempt):
            yield _of_ring(leg, ring, f"still rings, though {leg.user_id} is {leg.state}")
        elif (ring.state is RingState.STOPPED) != (ring.stop_reason is not None):
            yield _of_ring(leg, ring, f"is {ring.state}, with the stop reason {ring.stop_reason}")
    for attempt in {ring.attempt for ring in leg.rings}:
        answers = sum(ring.state is RingState.ANSWERED and ring.attempt == attempt for ring in leg.rings)
        if answers > 1:
            yield Breach(5, f"answered the same ring on {answers} devices", leg.user_id)
    if len({ring.id for ring in leg.rings}) < len(leg.rings):
        yield Breach(5, "has two rings with one id", leg.user_id)


def _stops(leg: Leg, stops: Mapping[str, int] | None) -> Iterator[Breach]:
    """Whoever was woken by a push is told by a push that it is over; again when one was taken after that."""
    if stops is None:
        return
    for ring in leg.rings:
        woken = ring.pushed_at is not None and ring.state is RingState.STOPPED
        wanted = woken and ring.stop_reason not in STOPPED_BY_ITSELF
        if bool(stops.get(ring.id)) != wanted:
            which = "a stop" if wanted else "no stop"
            yield _of_ring(leg, ring, f"was to get {which} by push, and {stops.get(ring.id, 0)} are known")


def _of_ring(leg: Leg, ring: Ring, text: str) -> Breach:
    return Breach(5, text, leg.user_id, ring.device_id)


def _fewer_than_two(call: Call) -> Iterator[Breach]:
    joined, pending = len(call.joined()), len(call.pending())
    if call.awaited:
        if (len(call.legs), pending) != (1, 1):
            yield Breach(6, "somebody waits to be dialled, and the initiator's own devices do not ring")
        return
    if call.answered_at is None:
        if not pending:
            yield Breach(6, "the call has not been answered, and it rings nobody")
    elif not joined + pending:
        yield Breach(6, "the call goes on without anybody in it")
    elif call.group:
        yield from _alone(call, joined, pending)
    elif joined + pending != 2:
        yield Breach(6, f"a call of two goes on with {joined + pending}")
    if (call.answered_at is not None) != (call.state in {CallState.CONNECTING, CallState.ACTIVE}):
        yield Breach(6, f"the call is {call.state}, {'with' if call.answered_at else 'without'} an answer")


def _alone(call: Call, joined: int, pending: int) -> Iterator[Breach]:
    lonely = not pending and joined < call.policy.min_connected
    if lonely and call.alone_since is None:
        yield Breach(6, f"{joined} of at least {call.policy.min_connected} are left, and no end is set")
    elif not lonely and call.alone_since is not None:
        yield Breach(6, "the call is about to end as if somebody were alone in it")
