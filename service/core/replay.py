"""A call told again from its events alone: what they make of it must be what it is (invariants 3 and 7)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from service.core.calls import Call
from service.core.vocabulary import JOINED_LEG, LIVE_LEG, PENDING_LEG, CallState, EventType, LegState

States = frozenset[LegState]

INVITED, RINGING = frozenset({LegState.INVITED}), frozenset({LegState.RINGING})
ANSWERED, CONNECTED = frozenset({LegState.ANSWERED}), frozenset({LegState.CONNECTED})
RECONNECTING = frozenset({LegState.RECONNECTING})
OVER = frozenset({LegState.CANCELED, LegState.LEFT, LegState.FAILED, LegState.REPLACED})

LEG_TOLD: Mapping[EventType, tuple[States, States]] = MappingProxyType(
    {
        EventType.RINGING: (INVITED, RINGING),
        EventType.ANSWERED: (PENDING_LEG, ANSWERED),
        EventType.JOINED: (ANSWERED, CONNECTED),
        EventType.RECONNECTING: (CONNECTED, RECONNECTING),
        EventType.RECONNECTED: (RECONNECTING, CONNECTED),
        EventType.DECLINED: (PENDING_LEG, frozenset({LegState.DECLINED, LegState.NOT_SUPPORTED})),
        EventType.BUSY: (PENDING_LEG, frozenset({LegState.BUSY})),
        EventType.MISSED: (PENDING_LEG, frozenset({LegState.MISSED})),
        EventType.UNREACHABLE: (PENDING_LEG, frozenset({LegState.UNREACHABLE})),
        EventType.LEFT: (LIVE_LEG, OVER),
        EventType.REMOVED: (LIVE_LEG, frozenset({LegState.REMOVED})),
    }
)
"""From which states an event of a participant may lead, and to which."""
CALL_TOLD: Mapping[EventType, tuple[frozenset[CallState], CallState]] = MappingProxyType(
    {
        EventType.CALL_RINGING: (frozenset({CallState.DIALING}), CallState.RINGING),
        EventType.CALL_ANSWERED: (frozenset({CallState.DIALING, CallState.RINGING}), CallState.CONNECTING),
        EventType.CALL_ACTIVE: (frozenset({CallState.CONNECTING}), CallState.ACTIVE),
        EventType.CALL_ENDED: (frozenset(CallState) - {CallState.ENDED}, CallState.ENDED),
    }
)


@dataclass(slots=True, frozen=True)
class Step:
    """What one event says, as far as the call can be rebuilt from it. `change` is that of a `call.updated`."""

    seq: int
    type: str
    at: datetime
    user_id: str | None = None
    change: str | None = None


@dataclass(slots=True, frozen=True)
class Breach:
    """A broken invariant: its number, and in plain words what is wrong with whom."""

    invariant: int
    detail: str
    user_id: str | None = None
    device_id: str | None = None
    seq: int | None = None


@dataclass(slots=True)
class _Told:
    """A participant as the events tell it."""

    states: States
    attempt: int = 1
    missed: int = 0


@dataclass(slots=True)
class Replay:
    """Hears the events of one call in order; says of each what cannot be, and at the end how the call differs."""

    initiator: str
    ring_initiator: bool = False
    state: CallState | None = None
    at: datetime | None = None
    legs: dict[str, _Told] = field(default_factory=dict)

    def hear(self, step: Step) -> Iterator[Breach]:
        """The next event."""
        if self.at and step.at < self.at:
            yield Breach(7, f"{step.type} happened before the event it follows", step.user_id, seq=step.seq)
        self.at = step.at
        if self.state is CallState.ENDED:
            yield Breach(3, f"{step.type} was told after the call had ended", step.user_id, seq=step.seq)
        yield from self._hear(step)

    def _hear(self, step: Step) -> Iterator[Breach]:
        kind = EventType(step.type) if step.type in set(EventType) else None
        if kind is EventType.CALL_CREATED:
            if self.state is not None:
                yield Breach(3, "the call was created twice", seq=step.seq)
            self.state = CallState.DIALING
            if not self.ring_initiator:
                self.legs[self.initiator] = _Told(ANSWERED)
        elif kind is not None and (moves := CALL_TOLD.get(kind)):
            before, after = moves
            if self.state not in before:
                yield Breach(3, f"{step.type} was told while the call was {self.state or 'not created'}", seq=step.seq)
            self.state = after
        elif step.user_id is not None and kind is not None:
            yield from self._hear_of_leg(kind, step, step.user_id)

    def _hear_of_leg(self, kind: EventType, step: Step, user_id: str) -> Iterator[Breach]:
        leg = self.legs.get(user_id)
        if kind is EventType.INVITED:
            if leg and leg.states & LIVE_LEG:
                yield _unfit(step, leg)
            self.legs[user_id] = _Told(INVITED, leg.attempt + 1 if leg else 1, leg.missed if leg else 0)
        elif kind in LEG_TOLD:
            before, after = LEG_TOLD[kind]
            if leg is None or not leg.states <= before:
                yield _unfit(step, leg)
            self.legs.setdefault(user_id, _Told(after)).states = after
        elif kind is EventType.CALL_MISSED:
            yield from _missed(step, leg)
        elif step.change == "device" and leg:
            if not leg.states <= JOINED_LEG:
                yield _unfit(step, leg)
            leg.states = ANSWERED

    def ends(self, call: Call) -> Iterator[Breach]:
        """How the call differs from what its events make of it."""
        if self.state is not call.state:
            yield Breach(7, f"by its events the call is {self.state or 'not created'}, but it is kept as {call.state}")
        for user_id in self.legs.keys() - {leg.user_id for leg in call.legs}:
            yield Breach(7, "takes part by the call's events, but not in what is kept of it", user_id)
        for leg in call.legs:
            told = self.legs.get(leg.user_id)
            if told is None:
                yield Breach(7, f"is kept as {leg.state}, but no event brought that person into the call", leg.user_id)
            elif leg.state not in told.states:
                yield Breach(7, f"is {_either(told.states)} by the events, but is kept as {leg.state}", leg.user_id)
            elif leg.attempt != told.attempt:
                text = f"was invited {told.attempt} times by the events, but {leg.attempt} times are kept"
                yield Breach(7, text, leg.user_id)


def _missed(step: Step, leg: _Told | None) -> Iterator[Breach]:
    if leg is None or leg.states & LIVE_LEG:
        yield _unfit(step, leg)
    elif leg.missed == leg.attempt:
        yield Breach(3, "the same ring was missed twice", step.user_id, seq=step.seq)
    if leg:
        leg.missed = leg.attempt


def _unfit(step: Step, leg: _Told | None) -> Breach:
    """An event that cannot follow what was told before it."""
    state = _either(leg.states) if leg else "not in the call"
    return Breach(3, f"{step.type} was told of somebody who was {state}", step.user_id, seq=step.seq)


def _either(states: States) -> str:
    return " or ".join(sorted(states))
