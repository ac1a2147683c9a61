"""The ring plan: which device is woken when, what is taken back, and whom else to tell.

Sockets ring at once. A device that nobody hears on a socket is pushed at the moments of the schedule (0, 10, 20 s)
until it acknowledges; one on a socket has `SOCKET_FIRST_S` to say that it heard, because a phone that has just gone
into somebody's pocket keeps its socket for a while; so have the others on the same thing. Of the apps and browsers on
one thing in somebody's hand (`hardware_id`) one is woken, and the next only if that one cannot be (T-06, scenarios 15,
17 to 19).

`alerts_of` says what a turn of a call puts on the way: it is written with the turn. Whether an alert still makes sense
is asked again at the moment when it would go out (`verdict`), because the call may have gone on meanwhile.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from service.core.calls import Call, Leg, Ring
from service.core.turn import Event
from service.core.vocabulary import AlertKind, Channel, EventType, RingState, StopReason

SOCKET_FIRST_S = 2
"""A device on a socket, and what is on the same thing, is pushed when it has not acknowledged for so long."""
STOP_FOR_S = 60
"""A stop that could not be told for so long comes too late to matter."""
NOTICE_FOR_S = 24 * 3600
"""What was missed is worth telling for so long."""
SOON_S = (1, 2, 4)
"""Seconds until an alert of a ring is tried again that its provider could not take just now; the last one repeats."""
SOMETIME_S = (5, 30, 120, 600, 3600)
"""The same for what keeps for hours."""
PATIENT = frozenset({AlertKind.MISSED, AlertKind.RULE})
STOPPED_BY_ITSELF = frozenset({StopReason.ANSWERED_HERE, StopReason.DECLINED_HERE})


@dataclass(slots=True, frozen=True)
class Alert:
    """One thing to be told outside the sockets. The same alert has the same `id`, whoever works it out.

    Without `device_id` it is for all devices of the user that can be woken, or, by `channel`, for the person.
    It is never sent after `until`.
    """

    id: UUID
    kind: AlertKind
    user_id: str
    attempt: int
    due_at: datetime
    until: datetime
    ring_id: str | None = None
    device_id: str | None = None
    channel: Channel | None = None


@dataclass(slots=True, frozen=True)
class Send:
    """It is time, and it makes sense."""


@dataclass(slots=True, frozen=True)
class Wait:
    """Not before `at`."""

    at: datetime


@dataclass(slots=True, frozen=True)
class Drop:
    """It makes no sense any more, for `reason`."""

    reason: str


Verdict = Send | Wait | Drop


def alerts_of(before: Call | None, after: Call, events: Iterable[Event]) -> list[Alert]:
    """What this turn puts on the way. Working it out twice gives the same ids, and each is queued once."""
    missed = {event.user_id for event in events if event.type is EventType.CALL_MISSED}
    found: list[Alert] = []
    for leg in after.legs:
        was = before.leg(leg.user_id) if before else None
        found += _rings(after, was, leg)
        found += _silences(after, was, leg)
        found += _stops(after, was, leg)
        found += _fallbacks(after, was, leg)
        if leg.user_id in missed and after.policy.missed_push:
            at = leg.ended_at or after.touched_at
            found.append(_alert(after, leg, AlertKind.MISSED, at, at + timedelta(seconds=NOTICE_FOR_S)))
        if not after.rings(leg) and leg.pending and leg.ring_deadline and _is_new(was, leg):
            found.append(_alert(after, leg, AlertKind.NOTIFY, leg.invited_at, leg.ring_deadline))
    return found


def _rings(call: Call, was: Leg | None, leg: Leg) -> Iterator[Alert]:
    if leg.ring_deadline is None:
        return
    before = {(ring.id, ring.renewed_at) for ring in _woken(was)} if was else set()
    for ring in _woken(leg):
        if (ring.id, ring.renewed_at) not in before and (at := _push_at(call, leg, ring, 0)):
            yield _alert(call, leg, AlertKind.RING, at, leg.ring_deadline, ring)


def _woken(leg: Leg) -> list[Ring]:
    """The rings of a pending leg whose devices are to be pushed: one for each thing in somebody's hand.

    None whose push was refused for good: it may still be on a socket that looks alive, and says nothing.
    """
    if not leg.pending:
        return []
    chosen: dict[str, Ring] = {}
    for ring in leg.rings:
        refused = ring.failure is not None and not ring.proven
        asked = ring.attempt == leg.attempt and ring.provider and ring.open and not refused
        if asked and not _heard_beside(leg, ring):
            chosen.setdefault(ring.hardware_id or f"\0{ring.device_id}", ring)
    return list(chosen.values())


def _heard_beside(leg: Leg, ring: Ring) -> bool:
    """Whether another app on the same thing has acknowledged."""
    return any(twin.proven for twin in _twins(leg, ring))


def _twins(leg: Leg, ring: Ring) -> Iterator[Ring]:
    """The rings of the other apps on the same thing that have not had their stop or answer."""
    if ring.hardware_id is None:
        return
    for twin in leg.open_rings():
        if twin is not ring and twin.attempt == ring.attempt and twin.hardware_id == ring.hardware_id:
            yield twin


def _push_at(call: Call, leg: Leg, ring: Ring, taken: int) -> datetime | None:
    """When the device is pushed after `taken` pushes were; `None`: it is left alone from now on."""
    if taken >= len(call.policy.realert_s):
        return None
    wait = call.policy.realert_s[taken]
    if taken == 0 and any(each.via == "socket" for each in (ring, *_twins(leg, ring))):
        wait = max(wait, SOCKET_FIRST_S)
    return (ring.renewed_at or ring.queued_at) + timedelta(seconds=wait)


def _silences(call: Call, was: Leg | None, leg: Leg) -> Iterator[Alert]:
    """Whoever was woken by a push is told by a push to be quiet, when another device was silenced (scenario 8)."""
    for ring in _newly(RingState.SILENCED, was, leg):
        if leg.ring_deadline and not ring.silenced_here:
            at = call.touched_at
            until = min(leg.ring_deadline, at + timedelta(seconds=STOP_FOR_S))
            yield _alert(call, leg, AlertKind.SILENCE, at, until, ring)


def _stops(call: Call, was: Leg | None, leg: Leg) -> Iterator[Alert]:
    """Whoever was woken by a push is told by a push that it is over (scenarios 5, 7, 10, 14).

    Also when the provider's word for the push came only after the end: every such word makes a stop of its own.
    """
    for ring in _newly(RingState.STOPPED, was, leg):
        if ring.stop_reason not in STOPPED_BY_ITSELF:
            at = call.touched_at
            yield _alert(call, leg, AlertKind.STOP, at, at + timedelta(seconds=STOP_FOR_S), ring)


def _newly(state: RingState, was: Leg | None, leg: Leg) -> Iterator[Ring]:
    """The rings whose devices were pushed, and that came into this state or were pushed (again) in it."""
    before = {(ring.id, ring.pushed_at) for ring in was.rings if ring.state is state} if was else set()
    for ring in leg.rings:
        if ring.state is state and ring.pushed_at and (ring.id, ring.pushed_at) not in before:
            yield ring


def _fallbacks(call: Call, was: Leg | None, leg: Leg) -> Iterator[Alert]:
    """The ladder (B-19): after a while without any acknowledgement; its first rung at once when no device is left.

    Not for the initiator: no mail has to tell of a call that the reader is making.
    """
    if not leg.pending or leg.ring_deadline is None or not call.rings(leg) or call.outgoing(leg):
        return
    alone = not any(ring.attempt == leg.attempt and _can_ring(call, ring) for ring in leg.open_rings())
    if not _is_new(was, leg) and not (alone and was and any(was.open_rings())):
        return
    for place, rung in enumerate(call.policy.fallback):
        at = call.touched_at if alone and place == 0 else leg.invited_at + timedelta(seconds=rung.after_s)
        if at < leg.ring_deadline:
            yield _alert(call, leg, AlertKind.FALLBACK, at, leg.ring_deadline, channel=rung.channel)


def _can_ring(call: Call, ring: Ring) -> bool:
    """Whether the device is on a socket, or may be woken: an app may have chosen to push nobody."""
    return ring.state is not RingState.QUEUED or bool(call.policy.realert_s)


def _is_new(was: Leg | None, leg: Leg) -> bool:
    return was is None or was.attempt != leg.attempt


def _alert(
    call: Call,
    leg: Leg,
    kind: AlertKind,
    due_at: datetime,
    until: datetime,
    ring: Ring | None = None,
    channel: Channel | None = None,
) -> Alert:
    about = ring.id if ring else f"{leg.user_id}\0{leg.attempt}"
    since = ring and (ring.renewed_at if kind is AlertKind.RING else ring.pushed_at)
    if since:
        about += f"\0{since.isoformat()}"
    return Alert(
        id=uuid5(UUID(call.id), f"{kind}\0{about}\0{channel or ''}"),
        kind=kind,
        user_id=leg.user_id,
        attempt=leg.attempt,
        due_at=due_at,
        until=until,
        ring_id=ring.id if ring else None,
        device_id=ring.device_id if ring else None,
        channel=Channel(ring.provider) if ring and ring.provider else channel,
    )


def verdict(call: Call, alert: Alert, taken: int, now: datetime) -> Verdict:
    """Whether an alert of a call goes out now; `taken` is how often its provider has taken it already."""
    leg = call.leg(alert.user_id)
    if now >= alert.until:
        return Drop("it came too late")
    if leg is None:
        return Drop("the user is not in the call")
    if alert.kind is AlertKind.RING:
        return _verdict_of_ring(call, leg, alert, taken, now)
    why = "it was told" if taken else _stale(call, leg, alert)
    return Drop(why) if why else Send()


def _stale(call: Call, leg: Leg, alert: Alert) -> str | None:
    """Why an alert that is told once makes no sense any more."""
    if alert.kind is AlertKind.STOP:
        return "the device rings again" if _rings_again(leg, alert) else None
    if leg.attempt != alert.attempt:
        return "the user was invited again"
    if alert.kind is AlertKind.MISSED:
        return None
    if alert.kind is AlertKind.FALLBACK and any(ring.proven for ring in leg.rings):
        return "a device has acknowledged"
    over = _no_longer_asked(call, leg)
    if alert.kind is AlertKind.SILENCE and not any(ring.id == alert.ring_id and ring.open for ring in leg.rings):
        return over or "the device does not ring any more"
    return over


def _rings_again(leg: Leg, stop: Alert) -> bool:
    """Whether the device rings for a later invitation, so that the stop would come in between."""
    return any(ring.device_id == stop.device_id and ring.open and ring.id != stop.ring_id for ring in leg.rings)


def _verdict_of_ring(call: Call, leg: Leg, alert: Alert, taken: int, now: datetime) -> Verdict:
    ring = next((ring for ring in leg.rings if ring.id == alert.ring_id), None)
    if why := _no_longer_asked(call, leg):
        return Drop(why)
    if ring is None or not ring.open or ring.attempt != leg.attempt:
        return Drop("the device does not ring any more")
    if ring.provider is None or alert.channel is not Channel(ring.provider):
        return Drop("the device is woken in another way now")
    if ring.state is RingState.SILENCED:
        return Drop("the user has silenced it")
    if ring.proven:
        return Drop("the device has acknowledged")
    if _heard_beside(leg, ring):
        return Drop("another app on the same device has acknowledged")
    at = _push_at(call, leg, ring, taken)
    if at is None:
        return Drop("it was pushed as often as the schedule says")
    return Wait(at) if at > now else Send()


def _no_longer_asked(call: Call, leg: Leg) -> str | None:
    if call.ended:
        return f"the call has ended: {call.end_reason}"
    return None if leg.pending else f"the user has reacted: {leg.state}"


def next_push(call: Call, alert: Alert, taken: int, now: datetime) -> datetime | None:
    """When an alert goes out again after its provider took it `taken` times, at last `now`; `None`: it is done.

    What a provider was late for is not made up for: of the schedule's moments those count that are still to come.
    """
    leg = call.leg(alert.user_id)
    ring = next((ring for ring in leg.rings if ring.id == alert.ring_id), None) if leg else None
    if alert.kind is not AlertKind.RING or leg is None or ring is None:
        return None
    moments = (_push_at(call, leg, ring, number) for number in range(taken, len(call.policy.realert_s)))
    return next((at for at in moments if at and now < at < alert.until), None)


def try_again(alert: Alert, at: datetime, failures: int, retry_after_s: float = 0) -> datetime | None:
    """When to try again what a provider could not take at `at`, for the `failures`-th time in a row (at least 1).

    Never after the alert's time: then `None`.
    """
    waits = SOMETIME_S if alert.kind in PATIENT else SOON_S
    again = at + timedelta(seconds=max(waits[min(failures, len(waits)) - 1], retry_after_s))
    return again if again < alert.until else None
