"""Why a phone rang, or did not: what is known of a call, put together for people.

The evidence is the call itself (legs and rings with their times), the alerts that went by providers, what was told of
the call, and where webhooks took it. Nothing is guessed beyond it: what nobody acknowledged is called so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Literal

from service.core.calls import Call, Leg, Ring
from service.core.verdicts import of_call, of_device, of_leg, rang
from service.core.vocabulary import AlertKind, RingState
from service.core.witness import Alert, Evidence, Heard, whole

What = Literal["queued", "sent", "failed", "delivered", "alerting", "silenced", "answered", "stopped"]


@dataclass(slots=True, frozen=True)
class Proof:
    """One thing that is known of a device's ring: `what` happened at `at`, and one sentence about it."""

    at: datetime
    what: What
    text: str


@dataclass(slots=True, frozen=True)
class DeviceTrace:
    """One device's ring: how far it got, and why no further."""

    ring: Ring
    rang: bool
    verdict: str
    proofs: tuple[Proof, ...]
    alerts: tuple[Alert, ...]


@dataclass(slots=True, frozen=True)
class LegTrace:
    """One invitation of one participant. `alerts` are those that are for no single device, or for one that had no ring.

    `leg` is as that attempt ended, or as it is.
    """

    leg: Leg
    rang: bool
    verdict: str
    devices: tuple[DeviceTrace, ...]
    alerts: tuple[Alert, ...]


@dataclass(slots=True, frozen=True)
class Trace:
    """What became of the whole call at `now`, as far as it may be told. `alerts` are for people who are not in it."""

    call: Call
    now: datetime
    summary: str
    legs: tuple[LegTrace, ...]
    notes: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()


def trace(call: Call, evidence: Evidence, only: str | None = None) -> Trace:
    """Put it together; `only` that user's own part."""
    call = _to_the_millisecond(call)
    legs = tuple(
        _leg(call, leg, evidence) for leg in attempts(call, evidence.heard) if only is None or leg.user_id == only
    )
    told = {alert.id for leg in legs for alert in leg.alerts}
    told |= {alert.id for leg in legs for device in leg.devices for alert in device.alerts}
    rest = [alert for alert in evidence.alerts if only is None and alert.id not in told and alert.user_id]
    return Trace(call, evidence.now, of_call(call), legs, tuple(_notes(call, evidence, only)), tuple(rest))


def _to_the_millisecond(call: Call) -> Call:
    """The call with its times as its events have them, so that the two can be laid side by side."""
    call = call.copy()
    parts: list[Call | Leg | Ring] = [call, *call.legs, *(ring for leg in call.legs for ring in leg.rings)]
    for part in parts:
        for each in fields(part):
            if isinstance(at := getattr(part, each.name), datetime):
                setattr(part, each.name, whole(at))
    return call


def attempts(call: Call, heard: Iterable[Heard]) -> Iterator[Leg]:
    """Every invitation of every participant, each with its own rings: those before the last as they were told."""
    earlier = {(told.leg.user_id, told.leg.attempt): told.leg for told in heard if told.leg}
    for leg in call.legs:
        for attempt in range(1, leg.attempt):
            then = earlier.get((leg.user_id, attempt))
            rings = [ring for ring in leg.rings if ring.attempt == attempt]
            if then is not None:
                yield replace(then, rings=rings)
        yield replace(leg, rings=[ring for ring in leg.rings if ring.attempt == leg.attempt])


def _leg(call: Call, leg: Leg, evidence: Evidence) -> LegTrace:
    alerts = [alert for alert in evidence.alerts if alert.user_id == leg.user_id and alert.attempt == leg.attempt]
    devices = tuple(_device(call, leg, ring, alerts, evidence.now) for ring in leg.rings)
    told = {alert.id for device in devices for alert in device.alerts}
    rest = tuple(alert for alert in alerts if alert.id not in told)
    words = {device.ring.device_id: device.verdict for device in devices}
    return LegTrace(leg, any(map(rang, leg.rings)), of_leg(call, leg, words, rest), devices, rest)


def _device(call: Call, leg: Leg, ring: Ring, alerts: list[Alert], now: datetime) -> DeviceTrace:
    mine = tuple(alert for alert in alerts if alert.device_id == ring.device_id)
    pushes = [alert for alert in mine if alert.kind is AlertKind.RING and alert.ring_id in {None, ring.id}]
    words = of_device(call, leg, ring, pushes, now)
    proofs = sorted(_proofs(ring, mine), key=lambda proof: proof.at)
    return DeviceTrace(ring, rang(ring), words, tuple(proofs), mine)


def _proofs(ring: Ring, alerts: Iterable[Alert]) -> Iterator[Proof]:
    """The evidence in the order of its times, in the words of the ring's states."""
    yield Proof(ring.queued_at, "queued", "the ring was made")
    if ring.via == "socket" and ring.sent_at and ring.sent_at != ring.alerting_at:
        yield Proof(ring.sent_at, "sent", "sent over its socket")
    for alert in alerts:
        for attempt in alert.tries:
            answer = "accepted" if attempt.taken else attempt.said
            text = f"{alert.purpose} by {alert.provider}: {answer} in {attempt.latency_ms} ms"
            yield Proof(attempt.at, "sent" if attempt.taken else "failed", text)
    if ring.delivered_at and ring.delivered_at != ring.alerting_at:
        yield Proof(ring.delivered_at, "delivered", "the device said that it heard of the ring")
    if ring.alerting_at:
        yield Proof(ring.alerting_at, "alerting", "the device said that its screen shows the call")
    if ring.silenced_at:
        yield Proof(ring.silenced_at, "silenced", "the user stopped the noise")
    if ring.ended_at and ring.state is RingState.ANSWERED:
        yield Proof(ring.ended_at, "answered", "answered on this device")
    elif ring.ended_at and ring.stop_reason:
        yield Proof(ring.ended_at, "stopped", f"stopped: {ring.stop_reason}")


def _notes(call: Call, evidence: Evidence, only: str | None) -> Iterator[str]:
    """What a reader must know of the evidence itself."""
    if not evidence.heard:
        yield "the events of this call are no longer kept; what is told here is in the call itself"
    elif evidence.left_out:
        yield f"{evidence.left_out} of {call.seq} events are left out, from the middle of the call"
    if only is not None:
        yield "this is your own part of the call"
        return
    waiting = sum(delivery.state == "pending" for delivery in evidence.deliveries)
    if waiting:
        yield f"{waiting} webhook {'delivery waits' if waiting == 1 else 'deliveries wait'} to be taken"
