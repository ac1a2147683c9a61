"""The first turn of a call: who is asked, who is busy, who is rung."""

from datetime import datetime

from service.core.calls import Call, Leg, Media
from service.core.commands import Dial, Engaged, Person, Slot
from service.core.ending import conclude, restate
from service.core.joining import can_wait, ring_everybody
from service.core.outgoing import ring_initiator
from service.core.refusals import Code, Refusal
from service.core.turn import Cause, Decision, Turn, refuse
from service.core.vocabulary import TYPE_RANK, CallState, CallType, EventType, LegState, Role


def dial(command: Dial, engaged: Engaged, now: datetime) -> Decision | Refusal:
    """Create a call and ring everybody in it, or say why not (scenarios 20 to 27).

    `engaged` holds the calls in which the people concerned are engaged at this moment. The caller is busy from now
    on (B-08). A one-to-one call whose callee cannot be rung is created and ended in the same turn. With
    `ring_initiator` the callees are rung when the caller has picked up.
    """
    callees = _callees(command)
    call = Call(
        id=command.call_id,
        app_id=command.app_id,
        initiator=command.initiator.user_id,
        call_type=command.call_type,
        topology=command.topology,
        policy=command.policy,
        created_at=now,
        touched_at=now,
        group=len(callees) > 1,
        custom=command.custom,
        ring_initiator=command.ring_initiator,
    )
    slots = engaged.get(call.initiator, ())
    refusal = _refusal(command, callees, call, slots)
    if refusal:
        return refusal
    turn = Turn(call, now, Cause("command", "dial", command.actor), engaged)
    call.legs.append(
        Leg(
            user_id=call.initiator,
            role=command.initiator.role,
            state=LegState.ANSWERED,
            invited_at=now,
            answered_at=now,
            name=command.initiator.name,
            avatar_url=command.initiator.avatar_url,
            slot=1 - slots[0].slot if slots else 0,
            device_id=command.device_id,
            media=_media(command.initiator.role, call.call_type),
        ),
    )
    turn.tell(EventType.CALL_CREATED)
    if command.ring_initiator:
        ring_initiator(turn, command.initiator, callees)
    else:
        ring_everybody(turn, callees, first_seq=1)
    conclude(turn)
    restate(turn)
    return Decision(call, tuple(turn.events), changed=True)


def _media(role: Role, call_type: CallType) -> Media:
    """What the initiator sends at first; a subscriber sends nothing (O-07)."""
    sends = role is not Role.SUBSCRIBER
    return Media(audio=sends, video=sends and call_type is CallType.AUDIO_VIDEO)


def _callees(command: Dial) -> list[Person]:
    """Everybody once, the caller dropped (scenario 25)."""
    unique = {person.user_id: person for person in command.callees}
    unique.pop(command.initiator.user_id, None)
    return list(unique.values())


def _refusal(command: Dial, callees: list[Person], call: Call, slots: tuple[Slot, ...]) -> Refusal | None:
    if not callees:
        if command.callees:
            return refuse(Code.CANNOT_CALL_SELF, "you cannot call yourself", call.initiator)
        return refuse(Code.INVALID_REQUEST, "a call needs at least one participant besides the initiator")
    if len(callees) + 1 > command.policy.max_participants:
        return refuse(Code.CAPACITY_EXCEEDED, f"at most {command.policy.max_participants} participants")
    if not command.initiator.known:
        return refuse(Code.INVALID_USERS, "the initiator is unknown", call.initiator)
    if slots and not can_wait(call, slots):
        return refuse(Code.INITIATOR_BUSY, "the initiator is in another call", call.initiator)
    if command.ring_initiator and (refusal := _cannot_be_rung(command.initiator)):
        return refusal
    if len(callees) == 1:
        return _one_to_one_refusal(callees[0])
    return None


def _cannot_be_rung(initiator: Person) -> Refusal | None:
    """Why its own ring will come to nothing, for sure: a test user that takes none."""
    if initiator.wrong:
        return refuse(Code.INVALID_REQUEST, initiator.wrong, initiator.user_id)
    if initiator.busy:
        return refuse(Code.INITIATOR_BUSY, "the initiator takes no ring", initiator.user_id)
    return None


def _one_to_one_refusal(callee: Person) -> Refusal | None:
    """With a single callee the dial itself is refused; in a group only that leg is (scenario 26)."""
    if callee.wrong:
        return refuse(Code.INVALID_REQUEST, callee.wrong, callee.user_id)
    if not callee.known:
        return refuse(Code.INVALID_USERS, "there is no such user", callee.user_id)
    if callee.forbidden:
        return refuse(Code.FORBIDDEN_BY_POLICY, "the user does not take calls from the initiator", callee.user_id)
    return None


def merges_into(call: Call, command: Dial) -> bool:
    """Glare: the person I dial is ringing me right now, just the two of us (scenario 1).

    A dial that rings its own initiator first comes from no device that could answer. A retried create finds the call
    already answered by its own device and is merged again.
    """
    callees = _callees(command)
    if call.group or len(callees) != 1 or call.ended or command.ring_initiator:
        return False
    mine = call.leg(command.initiator.user_id)
    if mine is None or call.initiator != callees[0].user_id:
        return False
    repeated = call.state is CallState.CONNECTING and mine.joined and mine.device_id == command.device_id
    return mine.pending or repeated


def replaces(call: Call, command: Dial, live_devices: frozenset[str]) -> bool:
    """The same pair dials again and the caller's own place in the old call is stale (scenario 42).

    `live_devices` are the caller's devices on a live socket. Stale: reconnecting, its lease running, or held by a
    device that is not connected (any more).
    """
    callees = _callees(command)
    mine = call.leg(command.initiator.user_id)
    if call.ended or call.group or len(callees) != 1 or mine is None or not mine.joined:
        return False
    peer = call.leg(callees[0].user_id)
    if peer is None or not peer.live:
        return False
    if mine.state is LegState.RECONNECTING or mine.lost_at is not None:
        return True
    return call.state is CallState.ACTIVE and mine.device_id not in live_devices


def common_type(first: CallType, second: CallType) -> CallType:
    """The media both asked for."""
    return min(first, second, key=TYPE_RANK.__getitem__)
