"""The ways in: invite, join, rejoin, move to another device, come back online."""

from collections.abc import Iterable
from datetime import timedelta

from service.core.answering import accept
from service.core.calls import Awaited, Call, Leg, Media
from service.core.commands import Device as AlertDevice
from service.core.commands import (
    DeviceConnected,
    DeviceDisconnected,
    DeviceRegistered,
    DeviceRemoved,
    Engaged,
    Invite,
    Join,
    Person,
    Slot,
    UserCommand,
)
from service.core.ending import conclude
from service.core.refusals import Code, Refusal
from service.core.talking import come_up
from service.core.turn import Turn, refuse
from service.core.vocabulary import (
    UNWOKEN_RING,
    CallType,
    DeclineReason,
    EndReason,
    EventType,
    LegState,
    RingState,
    StopReason,
)


def ring_everybody(turn: Turn, people: Iterable[Person], first_seq: int) -> None:
    """Ring people who are dialled together: they hear the same of the call, from event `first_seq` on."""
    for person in people:
        ring_person(turn, person, turn.engaged.get(person.user_id, ()))
        if leg := turn.call.leg(person.user_id):
            leg.first_seq = first_seq


def ring_person(turn: Turn, person: Person, engaged: tuple[Slot, ...]) -> None:
    """Give a person a leg (or the next attempt of theirs) and ring it, or say at once why not.

    Scenarios 20, 21, 26, 27, 35.
    """
    leg = _next_attempt(turn, person)
    turn.tell(EventType.INVITED, person.user_id)
    policy = turn.call.policy
    if not person.known or person.wrong:
        turn.finish_leg(leg, LegState.UNREACHABLE, EndReason.UNREACHABLE)
    elif person.forbidden:
        turn.finish_leg(leg, LegState.FAILED, EndReason.FORBIDDEN)
    elif person.do_not_disturb:
        turn.finish_leg(
            leg,
            LegState.DECLINED,
            EndReason.DECLINED,
            decline=DeclineReason.DO_NOT_DISTURB,
            missed=True,
        )
    elif not policy.notify_only and (person.busy or (engaged and not can_wait(turn.call, engaged))):
        turn.finish_leg(leg, LegState.BUSY, EndReason.BUSY, missed=True)
    else:
        leg.ring_deadline = turn.at + timedelta(seconds=policy.ring_timeout_s)
        if not policy.notify_only:
            leg.slot = 1 - engaged[0].slot if engaged else 0
            turn.start_rings(leg, person.devices)


def can_wait(call: Call, engaged: tuple[Slot, ...]) -> bool:
    """Call waiting: one call more, where the app allows it (scenario 21)."""
    return call.policy.call_waiting and len(engaged) == 1


def _next_attempt(turn: Turn, person: Person) -> Leg:
    call = turn.call
    leg = call.leg(person.user_id)
    if leg is None:
        leg = Leg(
            user_id=person.user_id,
            role=person.role,
            state=LegState.INVITED,
            invited_at=turn.at,
            name=person.name,
            avatar_url=person.avatar_url,
            first_seq=call.seq + 1,
        )
        call.legs.append(leg)
    else:
        fresh = Leg(
            user_id=leg.user_id,
            role=leg.role,
            state=LegState.INVITED,
            invited_at=turn.at,
            name=person.name or leg.name,
            avatar_url=person.avatar_url or leg.avatar_url,
            attempt=leg.attempt + 1,
            first_seq=leg.first_seq,
            rings=leg.rings,
            muted_audio=leg.muted_audio,
            muted_video=leg.muted_video,
            tokens_from=leg.tokens_from,
        )
        call.legs[call.legs.index(leg)] = fresh
        leg = fresh
    video = leg.publishes and call.call_type is CallType.AUDIO_VIDEO
    leg.media = Media(audio=leg.publishes and not leg.muted_audio, video=video and not leg.muted_video)
    return leg


def invite(turn: Turn, command: Invite, engaged: Engaged) -> Refusal | None:
    """Ring more people; whoever is in already is left alone (scenarios 34 to 36)."""
    call = turn.call
    if call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    if command.user_id is not None and not ((inviter := call.leg(command.user_id)) and inviter.joined):
        return refuse(Code.NOT_PARTICIPANT, "only somebody in the call can invite")
    people = {person.user_id: person for person in command.people}.values()
    asked = {leg.user_id for leg in call.legs if leg.live} | {other.user_id for other in call.awaited}
    wanted = [person for person in people if person.user_id not in asked]
    if len(asked) + len(wanted) > call.policy.max_participants:
        return refuse(Code.CAPACITY_EXCEEDED, f"at most {call.policy.max_participants} participants")
    call.group = call.group or bool(wanted)
    if call.awaited:
        _await_more(turn, wanted)
        return None
    for person in wanted:
        ring_person(turn, person, engaged.get(person.user_id, ()))
    conclude(turn)
    return None


def _await_more(turn: Turn, people: list[Person]) -> None:
    """The initiator has not picked up yet: they are dialled with the others."""
    if people:
        turn.call.awaited += map(as_awaited, people)
        turn.tell(EventType.CALL_UPDATED, change="awaited")


def as_awaited(person: Person) -> Awaited:
    """What the call keeps of somebody until they are dialled."""
    return Awaited(person.user_id, person.role, person.name, person.avatar_url)


def join_new(turn: Turn, command: Join, engaged: tuple[Slot, ...]) -> Refusal | None:
    """Come into a running call without a ring: a guest, or whoever holds a token for this call."""
    call = turn.call
    if command.person is None:
        return refuse(Code.NOT_PARTICIPANT, "you are not in this call")
    if call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    if call.awaited:
        return refuse(Code.NOT_RINGING, "the initiator has not picked up yet", call.initiator)
    refusal = _room_for(call, engaged, command.user_id)
    if refusal:
        return refusal
    call.group = True
    leg = _next_attempt(turn, command.person)
    turn.tell(EventType.INVITED, leg.user_id)
    return accept(turn, command, leg, ())


def rejoin(turn: Turn, command: Join, leg: Leg, engaged: tuple[Slot, ...]) -> Refusal | None:
    """Come back after leaving: the next attempt of the same leg, with new credentials (scenario 37)."""
    call = turn.call
    if call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    if leg.end_reason is EndReason.FORBIDDEN:
        return refuse(Code.FORBIDDEN_BY_POLICY, "you may not come into this call", leg.user_id)
    refusal = _room_for(call, engaged, leg.user_id)
    if refusal:
        return refusal
    call.group = True
    fresh = _next_attempt(turn, Person(leg.user_id))
    turn.tell(EventType.INVITED, leg.user_id)
    return accept(turn, command, fresh, ())


def _room_for(call: Call, engaged: tuple[Slot, ...], user_id: str) -> Refusal | None:
    if engaged:
        return refuse(Code.INITIATOR_BUSY, "you are in another call", user_id)
    if sum(leg.live for leg in call.legs) >= call.policy.max_participants:
        return refuse(Code.CAPACITY_EXCEEDED, f"at most {call.policy.max_participants} participants")
    return None


def move_device(turn: Turn, command: UserCommand, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """A second device takes over: one leg in the history, no busy flicker (scenarios 43, 62)."""
    old = leg.device_id
    if command.device_id == old:
        return None
    if old is None and leg.state is LegState.ANSWERED:
        leg.device_id = command.device_id
        return None
    if leg.connected_at is None:
        leg.answered_at = turn.at
    else:
        leg.state, leg.answered_at, leg.connected_at = LegState.ANSWERED, turn.at, None
    leg.device_id, leg.lost_at, leg.media_lost, leg.moved_at = command.device_id, None, False, None
    turn.end_streams(leg)
    for other in turn.call.legs:
        if leg.user_id in other.peers:
            other.peers.remove(leg.user_id)
    leg.peers = []
    turn.tell(
        EventType.CALL_UPDATED,
        leg.user_id,
        change="device",
        device_id=command.device_id,
        replaced_device_id=old,
    )
    return None


def device_connected(turn: Turn, command: DeviceConnected, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Online again: ring with the remaining time, or take the lost place back (scenarios 18, 39).

    A guest's device takes its place back and does not ring (T-03).
    """
    device = command.device_id
    if leg.pending:
        silenced = any(ring.state is RingState.SILENCED for ring in leg.open_rings())
        if device and command.rings and not silenced and turn.call.rings(leg):
            turn.start_rings(leg, (AlertDevice(device, connected=True),))
        return None
    if device != leg.device_id:
        return None
    if leg.state is LegState.RECONNECTING:
        if not leg.media_lost:
            leg.state, leg.lost_at = LegState.CONNECTED, None
            turn.tell(EventType.RECONNECTED, leg.user_id)
    else:
        leg.lost_at = None
        come_up(turn, leg)
    return None


def device_disconnected(
    turn: Turn, command: DeviceDisconnected, leg: Leg, _engaged: tuple[Slot, ...]
) -> Refusal | None:
    """The socket is gone: a grace begins; the place stays taken (scenarios 39 to 41)."""
    if not leg.joined or leg.device_id != command.device_id or leg.device_id is None:
        return None
    if leg.state is LegState.CONNECTED:
        leg.state, leg.lost_at = LegState.RECONNECTING, turn.at
        turn.tell(EventType.RECONNECTING, leg.user_id)
    elif leg.lost_at is None:
        leg.lost_at = turn.at
    return None


def device_registered(turn: Turn, command: DeviceRegistered, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """It rings with the remaining time; anew where it could not be woken, or is woken in another way (scenario 15)."""
    device = command.device
    silenced = any(ring.state is RingState.SILENCED for ring in leg.open_rings())
    if device.provider is None or silenced or not turn.call.rings(leg):
        return None
    ring = leg.ring_of(device.id)
    if ring is None:
        turn.start_rings(leg, (device,))
    elif ring.state in UNWOKEN_RING and (ring.failure is not None or ring.provider is not device.provider):
        turn.renew_ring(ring, device)
    return None


def device_removed(turn: Turn, command: DeviceRemoved, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """An unregistered device stops ringing; the others go on (scenario 57)."""
    ring = leg.ring_of(command.device_id)
    if ring and ring.open:
        turn.stop_ring(ring, StopReason.CANCELED)
    return None
