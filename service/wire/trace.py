"""The answer to "why did my phone not ring?": what became of a call, device by device, with its evidence."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.core.calls import Leg, Ring
from service.core.timeline import Timeline
from service.core.trace import DeviceTrace, LegTrace, Trace
from service.core.vocabulary import (
    SIP_Q850,
    AlertKind,
    CallState,
    DeclineReason,
    EndReason,
    LegState,
    Platform,
    Provider,
    RingState,
    StopReason,
)
from service.core.witness import Alert
from service.wire.shapes import Moment
from service.wire.views import Shape

Milliseconds = Annotated[int, Field(ge=0)]


class TryView(Shape):
    """One try by a provider. `at` is when its answer was there, by the clock of the process that sent it.

    `reason` is the provider's own word, `gone_since` when it says that the device went.
    """

    at: Moment
    outcome: Literal["taken", "gone", "refused", "later", "misconfigured"]
    status: int | None
    provider_id: str | None
    reason: str | None
    detail: str | None
    latency_ms: Milliseconds
    gone_since: Moment | None


class AlertView(Shape):
    """One thing told outside the sockets. While it is `pending` it is due at `due_at`; `reason`: why it is over."""

    alert_id: UUID
    user_id: str
    kind: AlertKind
    channel: str
    state: Literal["pending", "sent", "failed", "dropped"]
    reason: str | None
    device_id: str | None
    due_at: Moment | None
    until: Moment
    tries: list[TryView]


class ProofView(Shape):
    """One thing that is known of a device's ring."""

    at: Moment
    what: Literal["queued", "sent", "failed", "delivered", "alerting", "silenced", "answered", "stopped"]
    text: str


class DeviceTraceView(Shape):
    """How far one device's ring got, and in plain words why no further. `rang`: its screen showed the call."""

    device_id: str
    ring_id: UUID
    platform: Platform | None
    provider: Provider | None
    via: Literal["socket", "push"]
    state: RingState
    stop_reason: StopReason | None
    rang: bool
    verdict: str
    queued_at: Moment
    sent_at: Moment | None
    pushed_at: Moment | None
    delivered_at: Moment | None
    alerting_at: Moment | None
    silenced_at: Moment | None
    ended_at: Moment | None
    proofs: list[ProofView]
    alerts: list[AlertView]


class LegTraceView(Shape):
    """One invitation of one participant, as it ended or as it is. `alerts` are those that went to no ringing device."""

    user_id: str
    name: str | None
    attempt: Annotated[int, Field(ge=1)]
    state: LegState
    end_reason: EndReason | None
    decline_reason: DeclineReason | None
    rang: bool
    verdict: str
    invited_at: Moment
    answered_at: Moment | None
    ended_at: Moment | None
    devices: list[DeviceTraceView]
    alerts: list[AlertView]


class LaneView(Shape):
    """Who says or hears something in the timeline."""

    id: str
    kind: Literal["webhook", "backend", "device", "service", "media", "provider"]
    name: str
    about: str
    user_id: str | None
    device_id: str | None


class StepView(Shape):
    """One arrow of the ladder, from lane to lane; a timer goes from a lane to itself.

    `unknown`: handed on to a device that has not acknowledged. `both`: in both directions. `seq`: the event of the
    call's feed that tells of it.
    """

    at: Moment
    kind: Literal["command", "alert", "ack", "timer", "webhook", "event", "media"]
    from_: Annotated[str, Field(serialization_alias="from", validation_alias="source")]
    to: Annotated[str, Field(validation_alias="target")]
    label: str
    note: str
    outcome: Literal["ok", "failed", "unknown"]
    user_id: str | None
    seq: int | None
    both: bool


class TraceView(Shape):
    """What became of a call. `summary` and each `verdict` are sentences for people; everything else is their proof.

    `alerts` are those that rules of the app sent to people who are not in the call.

    A user's token is shown that user's own legs and what concerns them.
    """

    call_id: UUID
    state: CallState
    initiator: str
    created_at: Moment
    ended_at: Moment | None
    end_reason: EndReason | None
    sip_status: int | None
    q850_cause: int | None
    now: Moment
    summary: str
    notes: list[str]
    legs: list[LegTraceView]
    alerts: list[AlertView]
    lanes: list[LaneView]
    timeline: list[StepView]
    steps_left_out: Annotated[int, Field(ge=0)]


def trace_view(told: Trace, drawn: Timeline) -> TraceView:
    """The whole answer."""
    call = told.call
    sip, cause = SIP_Q850[call.end_reason] if call.end_reason else (None, None)
    return TraceView(
        call_id=UUID(call.id),
        state=call.state,
        initiator=call.initiator,
        created_at=call.created_at,
        ended_at=call.ended_at,
        end_reason=call.end_reason,
        sip_status=sip,
        q850_cause=cause,
        now=told.now,
        summary=told.summary,
        notes=list(told.notes),
        legs=[_leg(leg) for leg in told.legs],
        alerts=_alerts(told.alerts),
        lanes=[LaneView.model_validate(lane) for lane in drawn.lanes],
        timeline=[StepView.model_validate(step) for step in drawn.steps],
        steps_left_out=drawn.left_out,
    )


def _leg(told: LegTrace) -> LegTraceView:
    more = {
        "rang": told.rang,
        "verdict": told.verdict,
        "devices": [_device(device) for device in told.devices],
        "alerts": _alerts(told.alerts),
    }
    return LegTraceView.model_validate({**_facts(LegTraceView, told.leg), **more})


def _device(told: DeviceTrace) -> DeviceTraceView:
    more = {
        "ring_id": told.ring.id,
        "rang": told.rang,
        "verdict": told.verdict,
        "proofs": [ProofView.model_validate(proof) for proof in told.proofs],
        "alerts": _alerts(told.alerts),
    }
    return DeviceTraceView.model_validate({**_facts(DeviceTraceView, told.ring), **more})


def _alerts(alerts: Iterable[Alert]) -> list[AlertView]:
    return [
        AlertView.model_validate(
            {
                **_facts(AlertView, alert),
                "alert_id": alert.id,
                "due_at": alert.due_at if alert.state == "pending" else None,
                "tries": [TryView.model_validate(each) for each in alert.tries],
            }
        )
        for alert in alerts
    ]


def _facts(shape: type[Shape], known: Leg | Ring | Alert) -> dict[str, Any]:
    """What of it has the same name in the answer."""
    return {name: getattr(known, name) for name in shape.model_fields if hasattr(known, name)}
