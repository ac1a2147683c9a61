"""One plain sentence for each device, each leg and the call: why it rang, or why it did not."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from service.core.calls import SERVER, Call, Leg, Ring
from service.core.vocabulary import AlertKind, EndReason, LegState, RingState, StopReason
from service.core.witness import NAMES, SPEAKERS, Alert, Try, clock, lasting

HASTY = timedelta(seconds=5)
"""A ring that was over so soon says nothing about a device that did not acknowledge it."""
LATE = timedelta(seconds=1)
FEW = 3
SILENT: Mapping[str, str] = MappingProxyType(
    {
        "socket": "its app is probably asleep, or its network is gone",
        "apns": "phone probably off, or notifications disabled",
        "fcm": "phone probably off, or notifications disabled",
        "webpush": "browser probably closed, or notifications disabled",
    }
)
"""What it most likely means when a device does not acknowledge what was sent that way."""
ENDS: Mapping[EndReason, str] = MappingProxyType(
    {
        EndReason.HANGUP: "somebody hung up",
        EndReason.CANCELED: "the caller gave up",
        EndReason.DECLINED: "declined",
        EndReason.BUSY: "busy",
        EndReason.NO_ANSWER: "nobody answered",
        EndReason.UNREACHABLE: "nobody could be reached",
        EndReason.NOT_SUPPORTED: "no device can carry the call's media",
        EndReason.FORBIDDEN: "not allowed",
        EndReason.MERGED: "it went on as another call",
        EndReason.REPLACED: "it went on elsewhere",
        EndReason.LAST_LEFT: "too few were left",
        EndReason.CONNECTION_LOST: "the connection was lost",
        EndReason.CONNECT_TIMEOUT: "media did not come up",
        EndReason.MEDIA_FAILED: "the media worker failed",
        EndReason.CALLER_LOST: "the caller was lost",
        EndReason.MAX_DURATION: "it reached its longest duration",
        EndReason.REMOVED: "removed by a moderator",
        EndReason.TERMINATED: "ended by the API",
        EndReason.ERROR: "an internal fault",
    }
)
AT_ONCE: Mapping[LegState, str] = MappingProxyType(
    {
        LegState.BUSY: "busy in another call: nothing rang",
        LegState.DECLINED: "do not disturb: nothing rang",
        LegState.FAILED: "takes no calls from the caller: nothing rang",
        LegState.UNREACHABLE: "there is no such user: nothing rang",
    }
)
NOTHING_THERE = "no device registered that could ring: none is connected, none has push"


def rang(ring: Ring) -> bool:
    """Whether the device has shown the call to its user, as it said itself or by answering."""
    return ring.alerting_at is not None or ring.state is RingState.ANSWERED


def of_device(call: Call, leg: Leg, ring: Ring, pushes: Sequence[Alert], now: datetime) -> str:
    """Why this device rang, or did not; `pushes` are the alerts of its ring."""
    tries = sorted((each for alert in pushes for each in alert.tries), key=lambda each: each.at)
    if rang(ring):
        return _rang(leg, ring, [each for each in tries if each.taken])
    if ring.delivered_at:
        yet = "does not show the call yet" if ring.open else "never showed the call"
        return f"heard of the ring at {clock(ring.delivered_at)}, but its screen {yet}"
    if tries:
        return _pushed(leg, ring, pushes[-1], tries)
    if ring.sent_at and ring.via == "socket":
        silence = _no_acknowledgement(leg, ring, ring.sent_at, "socket")
        return f"the ring went to its socket at {clock(ring.sent_at)}, {silence}"
    if ring.pushed_at and ring.provider:
        silence = _no_acknowledgement(leg, ring, ring.pushed_at, ring.provider)
        if ring.sent_at is None:
            return f"what {NAMES[ring.provider]} said of its push at {clock(ring.pushed_at)} is not known, {silence}"
        return f"push accepted by {NAMES[ring.provider]} at {clock(ring.pushed_at)}, {silence}"
    return _untried(call, leg, ring, pushes, now)


def _rang(leg: Leg, ring: Ring, taken: Sequence[Try]) -> str:
    if ring.alerting_at is None:
        after = lasting((ring.ended_at or ring.queued_at) - ring.queued_at)
        return f"answered there {after} after its ring began, without an acknowledgement before"
    said = [f"{_woken(leg, ring, taken)}rang{_way(ring)} after {lasting(ring.alerting_at - ring.queued_at)}"]
    if ring.alerting_at == ring.queued_at and ring.delivered_at is None:
        said = [f"found the call by itself {lasting(ring.alerting_at - leg.invited_at)} into the ring, and rang"]
    if ring.silenced_at:
        said.append(f"silenced after {lasting(ring.silenced_at - ring.alerting_at)}")
    said.append(_ending(leg, ring, ring.alerting_at))
    return ", ".join(said)


def _woken(leg: Leg, ring: Ring, taken: Sequence[Try]) -> str:
    """What came before it rang: a push that woke it, or its coming online."""
    at = ring.alerting_at or ring.queued_at
    before = sum(each.began <= at for each in taken) or bool(ring.pushed_at and ring.pushed_at <= at)
    if ring.provider and before:
        by = NAMES[ring.provider]
        return f"woken by push {before} of {by}, " if before > 1 else f"woken by {by}, "
    if ring.queued_at - leg.invited_at > LATE:
        return f"came online {lasting(ring.queued_at - leg.invited_at)} into the ring, "
    return ""


def _way(ring: Ring) -> str:
    return " over its socket" if ring.via == "socket" and not ring.pushed_at else ""


def _ending(leg: Leg, ring: Ring, since: datetime) -> str:
    """How the ring of a device that rang went on."""
    if ring.ended_at is None:
        return "and still rings" if ring.open else "and stopped"
    after = lasting(ring.ended_at - since)
    if ring.state is RingState.ANSWERED:
        return f"answered there after {after}"
    if ring.stop_reason is StopReason.DECLINED_HERE:
        reason = leg.decline_reason
        why = f" ({reason})" if reason and reason != "none" and ring.ended_at == leg.ended_at else ""
        return f"declined there after {after}{why}"
    if ring.stop_reason is StopReason.NOT_SUPPORTED:
        return "but it cannot carry the call's media"
    if ring.stop_reason is StopReason.TIMED_OUT:
        return f"nobody answered within {after}"
    return f"until {_over(leg, ring)} after {after}"


def _over(leg: Leg, ring: Ring) -> str:
    """Why the ring of a device stopped, when it was not the device's own doing."""
    if ring.stop_reason is StopReason.ANSWERED_ELSEWHERE:
        if leg.answered_at is None:
            return "somebody else took the call"
        return f"it was answered on {leg.device_id}" if leg.device_id else "it was answered elsewhere"
    if ring.stop_reason is StopReason.DECLINED_ELSEWHERE:
        return "the user declined elsewhere"
    if ring.stop_reason is StopReason.TIMED_OUT:
        return "the ring timed out"
    if ring.stop_reason is StopReason.CANCELED and ring.ended_at != leg.ended_at:
        return "the device was unregistered"
    if leg.end_reason is EndReason.CANCELED:
        return "the caller gave up"
    return f"the ring ended: {ENDS[leg.end_reason]}" if leg.end_reason else "the ring ended"


def _no_acknowledgement(leg: Leg, ring: Ring, since: datetime, way: str) -> str:
    """Nothing came back: too early to tell, over too soon to tell, or the device cannot hear."""
    if leg.pending and ring.open and not ring.silenced_at:
        return "no acknowledgement yet"
    over = ring.silenced_at or ring.ended_at or leg.ended_at or leg.answered_at
    if over and over - since < HASTY:
        why = "the user silenced it" if ring.silenced_at else _over(leg, ring)
        return f"no acknowledgement before {why} {lasting(over - since)} later"
    return f"no acknowledgement: {SILENT[way]}"


def _pushed(leg: Leg, ring: Ring, alert: Alert, tries: Sequence[Try]) -> str:
    """The device was tried by push and has said nothing."""
    taken = [each for each in tries if each.taken]
    last, by = tries[-1], alert.provider
    if not taken:
        return _refused(alert, tries, ring)
    said = f"push accepted by {by} at {clock(taken[0].at)}"
    if len(taken) > 1:
        said = f"{len(taken)} pushes accepted by {by} from {clock(taken[0].at)} to {clock(taken[-1].at)}"
    if not last.taken and last.outcome != "later":
        return f"{said}; then {_refused(alert, [last], ring)}"
    if alert.reason and alert.reason.startswith("another app"):
        return f"{said}; {alert.reason}"
    return f"{said}, {_no_acknowledgement(leg, ring, taken[0].at, alert.channel)}"


def _refused(alert: Alert, tries: Sequence[Try], ring: Ring) -> str:
    """Why no push was taken."""
    last, by = tries[-1], alert.provider
    detail = f": {last.detail}" if last.detail else ""
    if last.outcome == "gone":
        since = f" since {last.gone_since.isoformat(' ', 'seconds')[:19]}" if last.gone_since else ""
        return f"{SPEAKERS.get(alert.channel, by)} says the device is gone{since}{detail}"
    if last.reason in {"no_credentials", "unregistered"} and last.detail:
        return last.detail
    if last.outcome == "misconfigured":
        return f"{by} does not take the app's credentials ({last.said}){detail}"
    if last.outcome != "later":
        return f"{by} refused the push ({last.said}){detail}"
    often = f", {len(tries)} times" if len(tries) > 1 else ""
    end = "it is tried again" if alert.state == "pending" and ring.open else "then it was too late"
    return f"{by} could not take the push ({last.said}{often}); {end}"


def _untried(call: Call, leg: Leg, ring: Ring, pushes: Sequence[Alert], now: datetime) -> str:
    """Neither a socket nor a push has brought the ring to this device."""
    if pushes:
        alert = pushes[-1]
        if alert.state == "pending" and ring.open and leg.pending:
            if alert.due_at > now:
                return f"a push by {alert.provider} goes out at {clock(alert.due_at)}"
            return f"its push has waited since {clock(alert.due_at)}: nobody has sent it yet"
        return f"no push was sent: {alert.reason or _over(leg, ring)}"
    if ring.provider is None:
        return "not connected, and without push: nothing could reach it"
    twin = next((each for each in leg.rings if each is not ring and _same_thing(each, ring)), None)
    if twin:
        return f"on the same device as {twin.device_id}, which was woken in its place"
    if not call.policy.realert_s:
        return "not connected, and the call was made without pushes (realert_s is empty)"
    return f"no push was sent: {_over(leg, ring)}" if ring.ended_at else "nothing was sent to it yet"


def _same_thing(one: Ring, other: Ring) -> bool:
    return one.hardware_id is not None and one.hardware_id == other.hardware_id and one.provider is not None


def of_leg(call: Call, leg: Leg, devices: Mapping[str, str], alerts: Iterable[Alert]) -> str:
    """What became of this invitation; `devices` are the sentences of its devices."""
    said = [_invited(call, leg, devices)]
    for alert in alerts:
        if alert.kind is AlertKind.FALLBACK and alert.tries:
            told, last = alert.taken, alert.tries[-1]
            why = last.detail or last.said
            said.append(
                f"told by {alert.provider} at {clock(told[0].at)}" if told else f"not told by {alert.provider}: {why}"
            )
    return "; ".join(said)


def _invited(call: Call, leg: Leg, devices: Mapping[str, str]) -> str:
    if leg.user_id == call.initiator and leg.attempt == 1 and not leg.rings:
        return "the caller: nothing had to ring"
    if leg.answered_at:
        return _answered(leg, devices)
    if not leg.rings:
        return _without_rings(call, leg)
    acted = [ring for ring in leg.rings if ring.stop_reason in {StopReason.DECLINED_HERE, StopReason.NOT_SUPPORTED}]
    if acted and not leg.pending:
        return f"{acted[-1].device_id}: {devices[acted[-1].device_id]}"
    return _rung(leg, devices)


def _answered(leg: Leg, devices: Mapping[str, str]) -> str:
    at = leg.answered_at or leg.invited_at
    if not leg.rings and at == leg.invited_at:
        said = "came in without a ring"
    elif leg.device_id and leg.device_id in devices:
        said = f"{leg.device_id}: {devices[leg.device_id]}"
    else:
        said = f"answered after {lasting(at - leg.invited_at)}"
    if leg.ended_at and leg.end_reason:
        said += f"; out after {lasting(leg.ended_at - at)}: {ENDS[leg.end_reason]}"
    return said


def not_rung(leg: Leg) -> str:
    """Why there was nothing to ring for somebody who has no rings."""
    at_once = leg.ended_at == leg.invited_at and leg.by == SERVER
    return AT_ONCE.get(leg.state, NOTHING_THERE) if at_once else NOTHING_THERE


def _without_rings(call: Call, leg: Leg) -> str:
    why = not_rung(leg)
    if why != NOTHING_THERE:
        return why
    if call.policy.notify_only:
        return "invited without a ring (notify_only)"
    if leg.pending or leg.end_reason is None:
        return f"{NOTHING_THERE} yet"
    return f"{NOTHING_THERE}; {ENDS[leg.end_reason]}"


def _rung(leg: Leg, devices: Mapping[str, str]) -> str:
    """Nobody acted on any device."""
    if len(devices) == 1:
        ((device, verdict),) = devices.items()
        return f"{device}: {verdict}"
    rung = [ring for ring in leg.rings if rang(ring)]
    if not rung:
        some = [f"{device}: {verdict}" for device, verdict in list(devices.items())[:FEW]]
        more = [f"and {len(devices) - FEW} more"] if len(devices) > FEW else []
        return f"none of {len(devices)} devices rang; " + "; ".join(some + more)
    since = min(ring.alerting_at or ring.queued_at for ring in rung)
    said = f"rang on {listed([ring.device_id for ring in rung])}"
    if leg.ended_at is None:
        return f"{said} since {clock(since)}"
    end = leg.end_reason
    why = "nobody answered" if end is None else ENDS[end]
    return f"{said} for {lasting(leg.ended_at - since)}: {why}"


def of_call(call: Call) -> str:
    """The whole call in a sentence."""
    said = f"{call.initiator} called {listed(callees(call))}"
    if call.answered_at:
        said += f": answered after {lasting(call.answered_at - call.created_at)}"
    if call.ended_at is None or call.end_reason is None:
        return f"{said}; {call.state}"
    talk = f" ({lasting(timedelta(milliseconds=call.talk_ms))} of talk)" if call.talk_ms else ""
    when = f"after {lasting(call.ended_at - call.created_at)}" if call.ended_at > call.created_at else "at once"
    return f"{said}; ended {when}{talk}: {ENDS[call.end_reason]}"


def callees(call: Call) -> list[str]:
    """Everybody but the caller, those included who are not dialled yet."""
    return [leg.user_id for leg in call.callees()] + [person.user_id for person in call.awaited]


def listed(names: Sequence[str]) -> str:
    """Some of them by name: `ben, cleo and 3 more`."""
    if len(names) <= FEW:
        return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])
    return f"{', '.join(names[:FEW])} and {len(names) - FEW} more"
