"""Who is online, offline or busy, with whom and on which device: computed from facts, never stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from service.core.calls import Call, Leg
from service.core.vocabulary import TAKEN_RING, Platform


class State(StrEnum):
    """The three values that presence is known by."""

    ONLINE = "online"
    OFFLINE = "offline"
    BUSY = "busy"


class Activity(StrEnum):
    """What is finer than the state, in rising order."""

    IDLE = "idle"
    RINGING = "ringing"
    DIALING = "dialing"
    CONNECTING = "connecting"
    IN_CALL = "in_call"
    IN_CONFERENCE = "in_conference"


class Reachable(StrEnum):
    """The best way in which the user could be alerted now."""

    CONNECTED = "connected"
    PUSH = "push"
    FALLBACK = "fallback"
    NONE = "none"


class DeviceState(StrEnum):
    """One device of the user."""

    OFFLINE = "offline"
    ONLINE = "online"
    RINGING = "ringing"
    BUSY = "busy"


SERVICE = "service"
STATES = (State.BUSY, State.ONLINE, State.OFFLINE)
ACTIVITIES = tuple(Activity)
TIMES = frozenset({"since", "last_seen_at", "expires_at", "stale_at"})
"""What alone is not worth telling."""


@dataclass(slots=True, frozen=True)
class KnownDevice:
    """A registered device. `connected_since` is set while it has a live socket.

    `held_until`: its socket is gone, and until then it counts as connected, because it may come back. Not `rings`: that
    socket is a guest's, or of a token for one call, and no new call rings on it (T-03).
    """

    device_id: str
    platform: Platform
    push: bool = False
    connected_since: datetime | None = None
    last_seen_at: datetime | None = None
    app_version: str | None = None
    rings: bool = True
    held_until: datetime | None = None

    @property
    def seen_at(self) -> datetime | None:
        """When it last came or went: one that is on a socket was seen no later than it came there."""
        return max((at for at in (self.last_seen_at, self.connected_since) if at), default=None)


@dataclass(slots=True, frozen=True)
class Companion:
    """With whom somebody is busy. `call_id` is unknown for calls outside the service."""

    user_id: str
    call_id: str | None = None
    name: str | None = None


@dataclass(slots=True, frozen=True)
class External:
    """What another system says: a desk phone, a calendar. Worth nothing from `expires_at` on."""

    source: str
    set_at: datetime
    expires_at: datetime | None = None
    state: State | None = None
    activity: Activity | None = None
    do_not_disturb: bool = False
    away: bool = False
    busy_with: tuple[Companion, ...] = ()


@dataclass(slots=True, frozen=True)
class Facts:
    """All that presence is made of.

    `calls` are the calls that engage the user. `fallback`: an e-mail address or a number is known.
    `idle_since`: when the user's last call ended. `seq` counts what was told about this user so far.
    """

    user_id: str
    calls: tuple[Call, ...] = ()
    devices: tuple[KnownDevice, ...] = ()
    externals: tuple[External, ...] = ()
    do_not_disturb: bool = False
    away: bool = False
    fallback: bool = False
    last_seen_at: datetime | None = None
    idle_since: datetime | None = None
    seq: int = 0


@dataclass(slots=True, frozen=True)
class DevicePresence:
    """One device in the presence object; `call_id` is the call that it rings for or is in."""

    device_id: str
    platform: Platform
    state: DeviceState
    call_id: str | None = None
    app_version: str | None = None
    last_seen_at: datetime | None = None


@dataclass(slots=True, frozen=True)
class Presence:
    """The presence object of the vocabulary. `second_ring`: another call rings while one is going on.

    From `stale_at` on it may be another one without anybody's doing: somebody's word or patience has run out.
    """

    user_id: str
    state: State
    activity: Activity
    busy_with: tuple[Companion, ...]
    do_not_disturb: bool
    away: bool
    reachable: Reachable
    devices: tuple[DevicePresence, ...]
    since: datetime | None
    last_seen_at: datetime | None
    source: str
    expires_at: datetime | None
    seq: int
    second_ring: bool = False
    stale_at: datetime | None = None


@dataclass(slots=True, frozen=True)
class _Claim:
    """What one source says of the user's state."""

    state: State
    activity: Activity
    source: str = SERVICE
    since: datetime | None = None
    expires_at: datetime | None = None

    def rank(self) -> tuple[int, bool, int]:
        """The least wins: busy over online over offline; of the busy, the outside goes before the service."""
        outside = self.source != SERVICE
        if self.state is State.BUSY:
            return STATES.index(self.state), not outside, -ACTIVITIES.index(self.activity)
        return STATES.index(self.state), self.activity is Activity.IDLE, int(outside)


def presence(facts: Facts, now: datetime, *, ringing_is_busy: bool = False) -> Presence:
    """Presence of one user at a moment.

    Do-not-disturb is a flag of its own and comes first in every mapping. Then an outside source that says
    busy, then the service's own facts, then what outside sources say besides. A user whose device rings is
    not yet busy to the outside, unless `ringing_is_busy` (a setting of the app).
    """
    if any(device.held_until for device in facts.devices):
        facts = replace(facts, devices=tuple(_without_the_gone(facts.devices, now)))
    outside = [e for e in facts.externals if e.expires_at is None or e.expires_at > now]
    engagements = list(_engagements(facts))
    own = _own_claim(facts, engagements, ringing_is_busy=ringing_is_busy)
    claim = min((own, *_outside_claims(outside)), key=_Claim.rank)
    flags = [e.expires_at for e in outside if (e.do_not_disturb or e.away) and e.expires_at]
    return Presence(
        user_id=facts.user_id,
        state=claim.state,
        activity=claim.activity,
        busy_with=_busy_with(facts, engagements, outside) if claim.state is State.BUSY else (),
        do_not_disturb=facts.do_not_disturb or any(e.do_not_disturb for e in outside),
        away=facts.away or any(e.away for e in outside),
        reachable=_reachable(facts),
        devices=tuple(_device(device, engagements) for device in facts.devices),
        since=claim.since,
        last_seen_at=_last_seen(facts),
        source=claim.source,
        expires_at=min([*flags, *([claim.expires_at] if claim.expires_at else [])], default=None),
        seq=facts.seq,
        second_ring=any(leg.joined for _, leg in engagements) and any(leg.pending for _, leg in engagements),
        stale_at=min(
            [e.expires_at for e in outside if e.expires_at] + [d.held_until for d in facts.devices if d.held_until],
            default=None,
        ),
    )


_said = attrgetter(*(each.name for each in fields(Presence) if each.name not in {*TIMES, "seq", "devices"}))
_said_of_device = attrgetter(*(each.name for each in fields(DevicePresence) if each.name not in TIMES))


def differs(before: Presence, after: Presence) -> bool:
    """Whether there is something to tell (`presence.changed`): times and numbers alone are not."""
    return _said(before) != _said(after) or [*map(_said_of_device, before.devices)] != [
        *map(_said_of_device, after.devices)
    ]


def _without_the_gone(devices: Iterable[KnownDevice], now: datetime) -> Iterator[KnownDevice]:
    """A device that has not come back in time is no longer connected."""
    for device in devices:
        over = device.held_until is not None and device.held_until <= now
        yield replace(device, connected_since=None, held_until=None) if over else device


def _engagements(facts: Facts) -> Iterator[tuple[Call, Leg]]:
    for call in facts.calls:
        leg = call.leg(facts.user_id)
        if leg and leg.live and not call.ended:
            yield call, leg


def _own_claim(facts: Facts, engagements: list[tuple[Call, Leg]], *, ringing_is_busy: bool) -> _Claim:
    activity, since = max(
        (_activity(call, leg) for call, leg in engagements),
        key=lambda pair: ACTIVITIES.index(pair[0]),
        default=(Activity.IDLE, None),
    )
    connected = [device.connected_since for device in facts.devices if device.connected_since]
    busy = any(leg.joined for _, leg in engagements) or (ringing_is_busy and bool(engagements))
    state = State.BUSY if busy else State.ONLINE if connected else State.OFFLINE
    if since is None and state is State.ONLINE:
        since = max([min(connected), *([facts.idle_since] if facts.idle_since else [])])
    elif since is None and state is State.OFFLINE:
        since = _last_seen(facts)
    return _Claim(state, activity, since=since)


def _outside_claims(outside: Iterable[External]) -> Iterator[_Claim]:
    """The newest first: of two that rank alike the newest is believed. Busy without more means a call."""
    for said in sorted(outside, key=lambda e: e.set_at, reverse=True):
        if said.state:
            default = Activity.IN_CALL if said.state is State.BUSY else Activity.IDLE
            activity = default if said.activity is None else said.activity
            yield _Claim(said.state, activity, f"external:{said.source}", said.set_at, said.expires_at)


def _activity(call: Call, leg: Leg) -> tuple[Activity, datetime | None]:
    if leg.pending:
        rung = leg.ringing_at is not None or any(ring.state in TAKEN_RING for ring in leg.open_rings())
        return (Activity.RINGING, _rings_since(leg)) if rung else (Activity.IDLE, None)
    if call.answered_at is None:
        return Activity.DIALING, leg.answered_at
    # Whoever goes on with another device has not stopped talking, as far as others are concerned (scenario 43).
    if call.active_at is None or not (leg.in_media or leg.talks_from):
        return Activity.CONNECTING, max(call.answered_at, leg.answered_at or call.answered_at)
    talking = Activity.IN_CONFERENCE if call.group else Activity.IN_CALL
    return talking, max(call.active_at, leg.talks_from or leg.connected_at or call.active_at)


def _rings_since(leg: Leg) -> datetime:
    """When the first alert was taken; an acknowledgement that comes later changes nothing about it."""
    sent = [ring.sent_at for ring in leg.rings if ring.attempt == leg.attempt and ring.sent_at]
    return min([*sent, *([leg.ringing_at] if leg.ringing_at else [])], default=leg.invited_at)


def _busy_with(facts: Facts, engagements: list[tuple[Call, Leg]], outside: list[External]) -> tuple[Companion, ...]:
    """Everybody in the user's calls; before an answer those who are being rung, or will be."""
    found = [
        Companion(other.user_id, call.id, other.name)
        for call, _leg in engagements
        for other in call.legs
        if other.user_id != facts.user_id and (other.joined or (other.pending and call.answered_at is None))
    ]
    found += [Companion(other.user_id, call.id, other.name) for call, _leg in engagements for other in call.awaited]
    for said in outside:
        if said.state is State.BUSY:
            found.extend(said.busy_with)
    return tuple(found)


def _device(device: KnownDevice, engagements: list[tuple[Call, Leg]]) -> DevicePresence:
    state = DeviceState.ONLINE if device.connected_since else DeviceState.OFFLINE
    call_id = None
    for call, leg in engagements:
        ring = leg.ring_of(device.device_id)
        if leg.joined and leg.device_id == device.device_id:
            state, call_id = DeviceState.BUSY, call.id
        elif state is not DeviceState.BUSY and ring and ring.state in TAKEN_RING:
            state, call_id = DeviceState.RINGING, call.id
    return DevicePresence(device.device_id, device.platform, state, call_id, device.app_version, device.seen_at)


def _reachable(facts: Facts) -> Reachable:
    if any(device.connected_since and device.rings for device in facts.devices):
        return Reachable.CONNECTED
    if any(device.push for device in facts.devices):
        return Reachable.PUSH
    return Reachable.FALLBACK if facts.fallback else Reachable.NONE


def _last_seen(facts: Facts) -> datetime | None:
    seen = [device.seen_at for device in facts.devices if device.seen_at]
    return max([*seen, *([facts.last_seen_at] if facts.last_seen_at else [])], default=None)
