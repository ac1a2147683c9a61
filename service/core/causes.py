"""Steps of a ladder that the call's events tell: commands, reports and timers, and who heard of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from service.core.deadlines import Timer
from service.core.lanes import SERVICE, Lanes, Step, StepKind, whether
from service.core.verdicts import callees, listed
from service.core.vocabulary import SIP_Q850, ActorType, EndReason, EventType, LegState, StopReason, Topology
from service.core.witness import Heard, lasting

LATE_MS = 100
"""What was settled later than this says so."""
TOLD_ELSEWHERE = frozenset({"pushed", "fell_back"})
"""Commands that alerts tell better."""
UNTOLD = frozenset({"stream_created", "stream_changed", "stream_destroyed"})
GOING = frozenset({LegState.LEFT, LegState.FAILED, LegState.REPLACED})
GOOD_NEWS: Mapping[str, int] = MappingProxyType({EventType.RINGING: 180, EventType.ANSWERED: 200})
MISSED = frozenset({EventType.MISSED, EventType.UNREACHABLE})
BAD_NEWS = MISSED | {EventType.DECLINED, EventType.BUSY}
"""What the caller hears of a callee, with the SIP status that says the same."""
OF_ONE = frozenset({Timer.RING, Timer.CONNECT, Timer.RECONNECT, Timer.MEDIA_MOVE})
"""Timers of one participant; the others are the call's."""
FACTS: Mapping[str, tuple[StepKind, str, bool]] = MappingProxyType(
    {
        "media_connected": ("media", "media up", True),
        "media_up": ("media", "media up", True),
        "media_lost": ("media", "media lost", False),
        "media_down": ("media", "media lost", False),
        "lose_room": ("media", "worker lost", False),
        "fail_room": ("media", "no worker", False),
        "device_connected": ("event", "connected again", True),
        "device_disconnected": ("event", "socket lost", False),
        "device_registered": ("event", "registered", True),
        "device_removed": ("event", "unregistered", True),
    }
)
"""Commands that report a fact: the kind of step, its words, and whether it is good news."""


def of_events(lanes: Lanes, heard: Sequence[Heard]) -> Iterator[Step]:
    """The steps of all turns, oldest first. Leaves in `lanes.places` where everybody was in the end."""
    lanes.places[lanes.call.initiator] = lanes.call.caller.device_id
    joined: list[str] = []
    for events in _turns(heard):
        for event in events:
            if event.device_id:
                lanes.places[event.user_id or lanes.call.initiator] = event.device_id
        yield from _cause(lanes, events)
        yield from _news(lanes, events)
        joined += [event.user_id for event in events if event.type == EventType.JOINED and event.user_id]
        if any(event.type == EventType.CALL_ACTIVE for event in events) and len(joined) > 1:
            yield from _media(lanes, events[-1], joined)


def _turns(heard: Sequence[Heard]) -> Iterator[list[Heard]]:
    """The events that one command, report or timer made."""
    turn: list[Heard] = []
    for event in heard:
        if turn and (turn[0].at, turn[0].cause) != (event.at, event.cause):
            yield turn
            turn = []
        turn.append(event)
    if turn:
        yield turn


def _cause(lanes: Lanes, events: Sequence[Heard]) -> Iterator[Step]:
    """What made these events: a command that came in, a report, or a timer."""
    first = events[0]
    name, by = first.cause.name, first.cause.by
    user = by.id if by.type is ActorType.USER else next((event.user_id for event in events if event.user_id), None)
    if first.cause.kind == "timer":
        late = f"settled {lasting(timedelta(milliseconds=first.late_by_ms))} late" if first.late_by_ms > LATE_MS else ""
        whose = _overdue(events) if name in OF_ONE else []
        label = of(name.replace("_", " "), listed(whose))
        one = whose[0] if len(whose) == 1 else None
        yield Step(first.at, "timer", SERVICE, SERVICE, label, late, user_id=one, seq=first.seq)
    elif not (name in UNTOLD or name in TOLD_ELSEWHERE or _is_ring_of_its_own(lanes, first)):
        kind, label, good = FACTS.get(name, ("command", name.replace("_", " "), True))
        source, target = _source(lanes, first, user), SERVICE
        if name in {"media_up", "media_down"} and user:
            source, target = lanes.device(user), lanes.worker()
        label, note = _words(lanes, events, label)
        if by.type is ActorType.API and user and name not in {"dial", "remove", "mute"}:
            label = of(label, user)
        both = kind == "media" and good and target != SERVICE
        yield Step(first.at, kind, source, target, label, note, whether(good), user, first.seq, both=both)


def _overdue(events: Sequence[Heard]) -> list[str]:
    """Whose time was over: timers of several may be due at once. Others may end with them, in another way."""
    kinds = MISSED if events[0].type in MISSED else {events[0].type}
    return list(dict.fromkeys(event.user_id for event in events if event.user_id and event.type in kinds))


def _is_ring_of_its_own(lanes: Lanes, event: Heard) -> bool:
    """An acknowledgement that the device's ring tells."""
    leg = lanes.call.leg(event.user_id or "")
    return event.cause.name == "ack" and leg is not None and bool(leg.rings)


def _source(lanes: Lanes, event: Heard, user: str | None) -> str:
    by = event.cause.by
    if by.type is ActorType.API:
        return lanes.backend()
    if by.type is ActorType.MEDIA or event.cause.kind == "report":
        return lanes.worker()
    if by.type is ActorType.SERVER or user is None:
        return SERVICE
    if by.type is ActorType.DEVICE:
        return lanes.device(user, by.id)
    there = event.device_id if event.user_id == user else None
    return lanes.device(user, there or _declined_on(lanes, user, event.at))


def _declined_on(lanes: Lanes, user: str, at: datetime) -> str | None:
    leg = lanes.call.leg(user)
    for ring in leg.rings if leg else ():
        if ring.stop_reason is StopReason.DECLINED_HERE and ring.ended_at == at:
            return ring.device_id
    return None


def _words(lanes: Lanes, events: Sequence[Heard], label: str) -> tuple[str, str]:
    """A command's label and note."""
    name, call = events[0].cause.name, lanes.call
    people = [event.user_id for event in events if event.type == EventType.INVITED and event.user_id]
    if name == "dial" and call.ring_initiator:
        return f"{label} {listed(callees(call))}", "the caller's own devices ring first"
    if name in {"dial", "invite"}:
        return f"{label} {listed(people)}", ""
    if name in {"answer", "join"} and people and call.ring_initiator:
        return label, f"now dials {listed(people)}"
    if name in {"remove", "mute"}:
        return of(label, events[0].user_id), ""
    if name == "decline":
        reason = next((event.leg.decline_reason for event in events if event.leg and event.leg.decline_reason), None)
        return label, reason.value if reason and reason != "none" else ""
    return label, "glare: both dialled" if any(event.merged for event in events) else ""


def of(label: str, user: str | None) -> str:
    """What, and whom it is about."""
    return f"{label}: {user}" if user else label


def _news(lanes: Lanes, events: Sequence[Heard]) -> Iterator[Step]:
    """What the caller hears of the callees, and everybody of the end."""
    call = lanes.call
    ended = any(event.type == EventType.CALL_ENDED for event in events)
    hears = lanes.knows(call.initiator) and (call.group or not ended)
    for event in events:
        user, leg = event.user_id, event.leg
        if user is None or leg is None:
            continue
        if ended and leg.state in GOING:
            if lanes.knows(user) and (user != event.cause.by.id or event.cause.name == "dial"):
                label, note = f"call ended: {call.end_reason}", _codes(call.end_reason)
                yield Step(event.at, "event", SERVICE, lanes.device(user), label, note, user_id=user, seq=event.seq)
        elif hears and user != call.initiator and (status := _status(event)):
            label = of(f"{status} {event.type.removeprefix('participant.')}", user)
            there = lanes.device(call.initiator)
            yield Step(event.at, "event", SERVICE, there, label, user_id=call.initiator, seq=event.seq)


def _status(event: Heard) -> int | None:
    """The SIP status of what the caller hears; `None` for what is not told him."""
    if event.type in BAD_NEWS and event.leg and event.leg.end_reason:
        return SIP_Q850[event.leg.end_reason][0]
    return GOOD_NEWS.get(event.type)


def _codes(reason: EndReason | None) -> str:
    sip, cause = SIP_Q850[reason] if reason else (None, None)
    return ", ".join([*([f"SIP {sip}"] if sip else ["BYE"]), *([f"Q.850 {cause}"] if cause else [])])


def _media(lanes: Lanes, event: Heard, joined: Sequence[str]) -> Iterator[Step]:
    """Media between two, from device to device; in a routed call each has it with the worker."""
    if lanes.call.topology is Topology.RELAYED:
        one, other = lanes.device(joined[0]), lanes.device(joined[-1])
        yield Step(event.at, "media", one, other, "media flows", "from device to device", seq=event.seq, both=True)
