"""One turn of the machine: a draft of the call and what will be told about it.

Rules change the draft only through this class, so that no change goes untold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid5

from service.core.calls import SERVER, Actor, Call, Leg, Ring
from service.core.commands import Device, Engaged
from service.core.refusals import Code, Refusal
from service.core.vocabulary import (
    UNTOLD_RING,
    DeclineReason,
    EndReason,
    EventType,
    LegState,
    RingState,
    StopReason,
)


@dataclass(slots=True, frozen=True)
class Cause:
    """What made an event: a command, a timer or a worker's report."""

    kind: str
    name: str
    by: Actor


@dataclass(slots=True, frozen=True)
class Event:
    """One thing told. `details` holds what is not in the call's snapshot; `only_for` names addressees of a signal."""

    seq: int
    type: EventType
    occurred_at: datetime
    late_by_ms: int
    cause: Cause
    user_id: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    only_for: tuple[str, ...] = ()


TERMINAL_EVENT: Mapping[LegState, EventType] = MappingProxyType(
    {
        LegState.DECLINED: EventType.DECLINED,
        LegState.NOT_SUPPORTED: EventType.DECLINED,
        LegState.BUSY: EventType.BUSY,
        LegState.MISSED: EventType.MISSED,
        LegState.UNREACHABLE: EventType.UNREACHABLE,
        LegState.REMOVED: EventType.REMOVED,
        LegState.CANCELED: EventType.LEFT,
        LegState.LEFT: EventType.LEFT,
        LegState.FAILED: EventType.LEFT,
        LegState.REPLACED: EventType.LEFT,
    },
)
"""Which event closes a leg attempt; `left` carries the finer state in its leg (invariant 3)."""


class Turn:
    """A draft of one call at one moment. `engaged` are other calls of the people whom this turn may engage."""

    def __init__(self, call: Call, now: datetime, cause: Cause, engaged: Engaged = MappingProxyType({})) -> None:
        self.call = call
        self.engaged = engaged
        self.now = now
        self.at = now
        self.late_by_ms = 0
        self.cause = cause
        self.events: list[Event] = []

    def set_time(self, at: datetime, cause: Cause) -> None:
        """Act as of `at`; what is settled late says how late it was (scenario 16)."""
        self.at = at
        self.late_by_ms = max(0, round((self.now - at).total_seconds() * 1000))
        self.cause = cause

    def tell(
        self,
        type_: EventType,
        user_id: str | None = None,
        only_for: tuple[str, ...] = (),
        **details: Any,
    ) -> None:
        """Add an event with the call's next number."""
        self.call.seq += 1
        self.events.append(
            Event(
                seq=self.call.seq,
                type=type_,
                occurred_at=self.at,
                late_by_ms=self.late_by_ms,
                cause=self.cause,
                user_id=user_id,
                details=details,
                only_for=only_for,
            ),
        )

    def start_rings(self, leg: Leg, devices: Iterable[Device]) -> None:
        """Alert those devices of a pending leg; a device that is already alerted is left alone."""
        for device in devices:
            ring = leg.ring_of(device.id)
            if ring is None:
                ring = self._new_ring(leg, device.id)
                ring.provider, ring.platform, ring.hardware_id = device.provider, device.platform, device.hardware_id
            if device.connected and ring.state in UNTOLD_RING:
                ring.state, ring.via, ring.sent_at = RingState.SENT, "socket", self.at

    def record_ring(self, leg: Leg, device_id: str) -> None:
        """Note an alert that a device began by itself; it is silent where the user has silenced the others."""
        silenced = any(ring.state is RingState.SILENCED for ring in leg.open_rings())
        ring = self._new_ring(leg, device_id)
        ring.state, ring.via = RingState.SILENCED if silenced else RingState.ALERTING, "socket"
        ring.sent_at = ring.alerting_at = self.at
        ring.silenced_at = self.at if silenced else None

    def _new_ring(self, leg: Leg, device_id: str) -> Ring:
        ring = Ring(
            id=str(uuid5(UUID(self.call.id), f"{leg.user_id}\0{device_id}\0{leg.attempt}")),
            device_id=device_id,
            attempt=leg.attempt,
            state=RingState.QUEUED,
            queued_at=self.at,
            via="push",
        )
        leg.rings.append(ring)
        return ring

    def renew_ring(self, ring: Ring, device: Device) -> None:
        """Push a device afresh: what is known of how to wake it is no longer what it was."""
        ring.provider, ring.platform, ring.hardware_id = device.provider, device.platform, device.hardware_id
        ring.failure, ring.renewed_at = None, self.at
        if ring.state is RingState.FAILED:
            ring.state = RingState.QUEUED

    def stop_rings(
        self, leg: Leg, reason: StopReason, here: str | None = None, here_reason: StopReason | None = None
    ) -> None:
        """Stop every open alert of the leg; the device that acted gets `here_reason`."""
        for ring in leg.open_rings():
            self.stop_ring(ring, here_reason if here_reason and here and ring.device_id == here else reason)

    def stop_ring(self, ring: Ring, reason: StopReason) -> None:
        """Give one alert its stop."""
        ring.state, ring.stop_reason, ring.ended_at = RingState.STOPPED, reason, self.at

    def end_streams(self, leg: Leg) -> None:
        """Tell the end of all that this participant published."""
        gone, leg.streams = leg.streams, []
        for stream in gone:
            self.tell(EventType.STREAM_DESTROYED, leg.user_id, stream=asdict(stream))
        if any(stream.source == "screen" for stream in gone):
            leg.media.screen = False

    def finish_leg(
        self,
        leg: Leg,
        state: LegState,
        reason: EndReason,
        by: Actor = SERVER,
        *,
        stop: StopReason = StopReason.CANCELED,
        decline: DeclineReason | None = None,
        missed: bool = False,
        **details: Any,
    ) -> None:
        """End one attempt of a leg: one terminal event, every alert stopped, the peers forget it.

        Nobody has `missed` a call that was their own.
        """
        leg.state, leg.end_reason, leg.by, leg.ended_at = state, reason, by, self.at
        leg.decline_reason = decline
        leg.ring_deadline = None
        leg.lost_at, leg.media_lost, leg.moved_at, leg.held, leg.peers = None, False, None, False, []
        self.stop_rings(leg, stop)
        self.end_streams(leg)
        if self.call.upgrade_from == leg.user_id:
            self.call.upgrade_from = None
        for other in self.call.legs:
            if leg.user_id in other.peers:
                other.peers.remove(leg.user_id)
        self.tell(TERMINAL_EVENT[state], leg.user_id, **details)
        if missed and not self.call.outgoing(leg):
            self.tell(EventType.CALL_MISSED, leg.user_id)


@dataclass(slots=True, frozen=True)
class Decision:
    """What a command led to.

    `call` is the call afterwards and `events` what is told; both must be saved even when there is a `refusal`,
    because what was overdue has been settled first (scenario 12). `changed` is false when nothing needs saving.
    """

    call: Call
    events: tuple[Event, ...] = ()
    changed: bool = False
    refusal: Refusal | None = None


def refuse(code: Code, detail: str, *users: str) -> Refusal:
    """Shorthand for a refusal."""
    return Refusal(code, detail, users)
