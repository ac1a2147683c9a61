"""A call as a telephone engineer draws it: what went from one to another, when, and what came of it.

A step is there only where something is known: a device's acknowledgement, a provider's answer, a webhook's status. What
a provider took and no device acknowledged goes on to the device as `unknown`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from service.core.calls import Leg, Ring
from service.core.causes import of, of_events
from service.core.lanes import SERVICE, Lane, Lanes, Outcome, Step, StepKind, whether
from service.core.trace import Trace
from service.core.verdicts import not_rung
from service.core.vocabulary import AlertKind, EventType, RingState, StopReason
from service.core.witness import Alert, Delivery, Evidence, Try, whole

MOST_STEPS = 1000
MOST_LAST = 300
"""Of a long call the first and so many last steps are told."""
RANKS: Mapping[StepKind, int] = MappingProxyType(
    {"command": 0, "ack": 0, "timer": 0, "media": 1, "event": 2, "alert": 3, "webhook": 4}
)
"""Of one moment: what came in, before what went out."""
ITS_OWN = frozenset({StopReason.DECLINED_HERE, StopReason.NOT_SUPPORTED, StopReason.EXPIRED_ON_ARRIVAL})
"""Stops that came from the device."""


@dataclass(slots=True, frozen=True)
class Timeline:
    """`lanes` from left to right, `steps` in the order of time; `left_out` of them in the middle are not told."""

    lanes: tuple[Lane, ...]
    steps: tuple[Step, ...]
    left_out: int = 0


def timeline(told: Trace, evidence: Evidence, only: str | None = None) -> Timeline:
    """Everything that is known to have gone from one to another; `only` what concerns that user."""
    lanes = Lanes(told.call)
    rings = {ring.id: (leg.leg, ring) for leg in told.legs for ring in leg.leg.rings}
    steps = [
        *(step for leg in told.legs for step in _not_rung(lanes, leg.leg)),
        *of_events(lanes, evidence.heard),
        *(step for leg, ring in rings.values() for step in _of_ring(lanes, leg, ring)),
        *(step for alert in evidence.alerts for step in _of_alert(lanes, told, alert)),
        *_of_notifications(lanes, evidence),
        *(step for delivery in evidence.deliveries for step in _of_delivery(lanes, delivery)),
    ]
    steps = [replace(step, at=whole(step.at)) for step in steps]
    steps = sorted(_once(steps), key=lambda step: (step.at, RANKS[step.kind]))
    if only is not None:
        steps = list(_own(lanes, steps, only))
    left_out = max(0, len(steps) - MOST_STEPS)
    if left_out:
        steps = steps[: MOST_STEPS - MOST_LAST] + steps[-MOST_LAST:]
    shown = _everybody(lanes, told, {end for step in steps for end in (step.source, step.target)})
    return Timeline(tuple(lane for lane in lanes.in_order() if lane.id in shown), tuple(steps), left_out)


def _own(lanes: Lanes, steps: list[Step], user_id: str) -> Iterator[Step]:
    """What concerns that user and nobody else."""
    others = {lane.id for lane in lanes.in_order() if lane.user_id not in {None, user_id}}
    for step in steps:
        if step.kind != "webhook" and step.user_id in {None, user_id} and not {step.source, step.target} & others:
            yield step


def _everybody(lanes: Lanes, told: Trace, used: set[str]) -> set[str]:
    """The lanes to show: those that are used, every device that had a ring, and whoever has none of these."""
    rung = {lanes.device(leg.leg.user_id, ring.device_id) for leg in told.legs for ring in leg.leg.rings}
    shown = {SERVICE, *used, *rung}
    for leg in told.legs:
        if not any(lane.user_id == leg.leg.user_id for lane in lanes.in_order() if lane.id in shown):
            shown.add(lanes.device(leg.leg.user_id))
    return shown


def _once(steps: list[Step]) -> Iterator[Step]:
    """A device's decline is told by its ring, too: once is enough."""
    seen: set[tuple[datetime, str]] = set()
    for step in steps:
        if step.kind == "command" and step.label == "decline":
            if (step.at, step.user_id or "") in seen:
                continue
            seen.add((step.at, step.user_id or ""))
        yield step


def _not_rung(lanes: Lanes, leg: Leg) -> Iterator[Step]:
    """Somebody who had nothing that could ring, or was not to be rung: there is no arrow, but there is a reason."""
    if leg.rings or leg.answered_at or leg.user_id == lanes.call.initiator or lanes.call.policy.notify_only:
        return
    label = of("not rung", leg.user_id)
    yield Step(leg.invited_at, "event", SERVICE, SERVICE, label, not_rung(leg), "failed", leg.user_id)


def _of_ring(lanes: Lanes, leg: Leg, ring: Ring) -> Iterator[Step]:
    """What went between the service and a device, as far as its ring remembers."""
    device = lanes.device(leg.user_id, ring.device_id)
    user = leg.user_id
    by_itself = ring.alerting_at == ring.queued_at and ring.delivered_at is None
    if ring.via == "socket" and ring.sent_at and not by_itself:
        yield Step(ring.sent_at, "alert", SERVICE, device, "ring", "socket", user_id=user)
    if ring.delivered_at and (ring.alerting_at is None or ring.delivered_at < ring.alerting_at):
        yield Step(ring.delivered_at, "ack", device, SERVICE, "heard", user_id=user)
    if ring.alerting_at:
        note = "found the call by itself" if by_itself else ""
        yield Step(ring.alerting_at, "ack", device, SERVICE, "180 alerting", note, user_id=user)
    if ring.silenced_at and ring.silenced_here:
        yield Step(ring.silenced_at, "command", device, SERVICE, "silence", user_id=user)
    by_push = ring.pushed_at is not None and ring.via != "socket"
    if ring.silenced_at and not by_itself and not by_push:
        yield Step(ring.silenced_at, "alert", SERVICE, device, "silenced", user_id=user)
    if ring.ended_at and ring.stop_reason in ITS_OWN:
        note = "" if ring.stop_reason is StopReason.DECLINED_HERE else ring.stop_reason.value
        yield Step(ring.ended_at, "command", device, SERVICE, "decline", note, user_id=user)
    elif ring.ended_at and ring.state is RingState.STOPPED and ring.via == "socket":
        yield Step(ring.ended_at, "alert", SERVICE, device, "stop", ring.stop_reason or "", user_id=user)


def _of_alert(lanes: Lanes, told: Trace, alert: Alert) -> Iterator[Step]:
    """Each try by a provider, and how it went on to the device."""
    leg = next((each.leg for each in told.legs if (each.leg.user_id, each.leg.attempt) == _of(alert)), None)
    ring = next((ring for ring in leg.rings if ring.device_id == alert.device_id), None) if leg else None
    floor = _not_before(alert, leg, ring)
    provider, number, arrived = lanes.provider(alert.channel), 1, _arrived(alert, ring)
    for each in alert.tries:
        at = max(each.began, floor) if floor else each.began
        label = f"push {number}" if alert.kind is AlertKind.RING else alert.purpose
        label = label if alert.device_id else of(label, alert.user_id)
        note = f"accepted in {each.latency_ms} ms" if each.taken else each.said
        yield Step(at, "alert", SERVICE, provider, label, note, whether(each.taken), alert.user_id)
        if each.taken and alert.device_id:
            device = lanes.device(alert.user_id, alert.device_id)
            known: Outcome = "ok" if each is arrived else "unknown"
            yield Step(at, "alert", provider, device, label, "", known, alert.user_id)
        number += each.taken


def _of(alert: Alert) -> tuple[str, int]:
    return alert.user_id, alert.attempt


def _not_before(alert: Alert, leg: Leg | None, ring: Ring | None) -> datetime | None:
    """Senders have clocks of their own: what a turn made cannot have gone out before that turn."""
    if alert.kind is AlertKind.RING and ring:
        return ring.queued_at
    if alert.kind is AlertKind.SILENCE and ring:
        return ring.silenced_at
    if alert.kind is AlertKind.STOP and ring:
        return ring.ended_at
    if alert.kind is AlertKind.MISSED and leg:
        return leg.ended_at
    return leg.invited_at if leg else None


def _arrived(alert: Alert, ring: Ring | None) -> Try | None:
    """The try that the device's first acknowledgement proves."""
    proof = (ring.delivered_at or ring.alerting_at) if ring else None
    if proof is None or alert.kind is not AlertKind.RING:
        return None
    before = [each for each in alert.taken if each.began <= proof]
    return before[-1] if before else None


def _of_notifications(lanes: Lanes, evidence: Evidence) -> Iterator[Step]:
    """What providers said, from the events, where the alerts themselves are no longer kept."""
    if evidence.alerts:
        return
    for event in evidence.heard:
        said = event.notification or {}
        if event.type not in {EventType.NOTIFICATION_SENT, EventType.NOTIFICATION_FAILED} or "channel" not in said:
            continue
        good = event.type == EventType.NOTIFICATION_SENT
        note = "accepted" if good else str(said.get("reason") or "refused")
        provider = lanes.provider(str(said["channel"]))
        label = f"push {said.get('number', '')}".strip()
        yield Step(event.at, "alert", SERVICE, provider, label, note, whether(good), event.user_id, event.seq)


def _of_delivery(lanes: Lanes, delivery: Delivery) -> Iterator[Step]:
    """The last attempt to hand an event to a webhook."""
    if delivery.at is None:
        return
    good = delivery.state == "delivered"
    said = str(delivery.status) if good or not delivery.error else delivery.error
    note = f"{said} in {delivery.latency_ms or 0} ms" if good else said
    if delivery.attempts > 1:
        note += f", try {delivery.attempts}"
    there = lanes.webhook(delivery.webhook_id, delivery.host)
    yield Step(delivery.at, "webhook", SERVICE, there, delivery.type, note, whether(good), seq=delivery.seq)
