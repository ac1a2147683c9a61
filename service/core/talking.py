"""While they talk: media up and down, mute, hold, signals, audio to video."""

from service.core.calls import Leg
from service.core.commands import (
    Hold,
    MediaChanged,
    MediaConnected,
    MediaLost,
    Mute,
    Signal,
    Slot,
    Upgrade,
)
from service.core.refusals import Code, Refusal
from service.core.robots import is_robot
from service.core.turn import Turn, refuse
from service.core.vocabulary import CallType, EventType, LegState, Topology


def media_connected(turn: Turn, command: MediaConnected, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """This device's media came up: the leg's own report makes it `connected`.

    In a routed call only the worker's word counts, and a test user's, which has no media.
    """
    if _is_the_workers_affair(turn, leg):
        return None
    return connected(turn, command, leg)


def connected(turn: Turn, command: MediaConnected, leg: Leg) -> Refusal | None:
    """Media came up, whoever says so."""
    if leg.device_id is None:
        leg.device_id = command.device_id
    if leg.device_id is None and turn.call.topology is Topology.RELAYED:
        return refuse(Code.INVALID_REQUEST, "say which device is connected", leg.user_id)
    if command.device_id != leg.device_id:
        return refuse(Code.ALREADY_ANSWERED, "another device of yours is in the call", leg.user_id)
    if command.peer is not None:
        other = turn.call.leg(command.peer)
        if other is None or not other.joined or other is leg:
            return refuse(Code.NOT_PARTICIPANT, "the peer is not in the call", command.peer)
        if command.peer not in leg.peers:
            leg.peers.append(command.peer)
    leg.media_lost, leg.lost_at, leg.moved_at = False, None, None
    if leg.state is LegState.ANSWERED:
        leg.connected_at = turn.at
        come_up(turn, leg)
    elif leg.state is LegState.RECONNECTING:
        leg.state = LegState.CONNECTED
        turn.tell(EventType.RECONNECTED, leg.user_id)
    return None


def come_up(turn: Turn, leg: Leg) -> None:
    """Media makes an answered leg `connected`; what came up before the first answer counts from then on."""
    if leg.state is LegState.ANSWERED and leg.connected_at and not leg.lost_at and turn.call.answered_at:
        leg.state, leg.connected_at = LegState.CONNECTED, turn.at
        leg.talks_from = leg.talks_from or turn.at
        turn.tell(EventType.JOINED, leg.user_id)


def media_lost(turn: Turn, command: MediaLost, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Media with one peer, or with all, broke; with the last one gone the leg is `reconnecting` (relayed topology)."""
    if not (_is_the_workers_affair(turn, leg) or command.device_id != leg.device_id):
        lost(turn, leg, command.peer)
    return None


def lost(turn: Turn, leg: Leg, peer: str | None = None) -> None:
    """Media broke, whoever says so."""
    if _had_left(turn, leg, peer):
        return
    leg.peers = [other for other in leg.peers if peer not in {None, other}]
    if leg.state is LegState.ANSWERED:
        leg.connected_at = None
    elif not leg.peers and leg.state is LegState.CONNECTED:
        leg.state, leg.lost_at, leg.media_lost = LegState.RECONNECTING, turn.at, True
        turn.tell(EventType.RECONNECTING, leg.user_id)
    elif not leg.peers and leg.state is LegState.RECONNECTING:
        leg.media_lost = True


def _had_left(turn: Turn, leg: Leg, peer: str | None) -> bool:
    """Media with somebody who is gone breaks by itself; that says nothing of this leg."""
    if peer is None or peer in leg.peers:
        return False
    other = turn.call.leg(peer)
    return other is None or not other.joined


def _is_the_workers_affair(turn: Turn, leg: Leg) -> bool:
    return turn.call.topology is Topology.ROUTED and not is_robot(leg.user_id, leg.device_id)


def media_changed(turn: Turn, command: MediaChanged, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The participant's own mute state; video needs a call that carries video (scenario 54)."""
    if not leg.publishes and (command.audio or command.video or command.screen):
        return refuse(Code.MEDIA_PERMISSION_DENIED, "a subscriber sends no media")
    wants_video = command.video and not leg.media.video
    if wants_video and turn.call.call_type is not CallType.AUDIO_VIDEO:
        return refuse(Code.MEDIA_PERMISSION_DENIED, "this call carries audio only; ask for an upgrade")
    if (command.audio and leg.muted_audio) or (command.video and leg.muted_video):
        return refuse(Code.MEDIA_PERMISSION_DENIED, "a moderator muted you")
    before = (leg.media.audio, leg.media.video, leg.media.screen)
    if command.audio is not None:
        leg.media.audio = command.audio
    if command.video is not None:
        leg.media.video = command.video
    if command.screen is not None:
        leg.media.screen = command.screen
    if before != (leg.media.audio, leg.media.video, leg.media.screen):
        turn.tell(EventType.MEDIA_CHANGED, leg.user_id)
    return None


def mute(turn: Turn, command: Mute) -> Refusal | None:
    """A moderator mutes a participant: `audio: false` takes it away, `true` allows it again (C-16)."""
    leg = turn.call.leg(command.target)
    if turn.call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {turn.call.end_reason}")
    if leg is None or not leg.live:
        return refuse(Code.NOT_PARTICIPANT, "no such participant in this call", command.target)
    before = (leg.muted_audio, leg.muted_video, leg.media.audio, leg.media.video)
    if command.audio is not None:
        leg.muted_audio = not command.audio
        leg.media.audio = leg.media.audio and command.audio
    if command.video is not None:
        leg.muted_video = not command.video
        leg.media.video = leg.media.video and command.video
    if before != (leg.muted_audio, leg.muted_video, leg.media.audio, leg.media.video):
        turn.tell(EventType.MEDIA_CHANGED, leg.user_id, muted_by=command.actor.id)
    return None


def hold(turn: Turn, command: Hold, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Put the call aside for a waiting one, or take it back (scenario 21)."""
    if leg.held is not command.held:
        leg.held = command.held
        turn.tell(EventType.MEDIA_CHANGED, leg.user_id, held=command.held)
    return None


def signal(turn: Turn, command: Signal, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """An in-call message to all, or to some of the participants (B-02, B-04, O-10).

    Whoever has declined or left hears that something was said, so that their `seq` has no gap, but not what.
    """
    live = tuple(other.user_id for other in turn.call.legs if other.live)
    strangers = [user for user in command.to if user not in live]
    if strangers:
        return refuse(Code.NOT_PARTICIPANT, "the addressee is not in the call", *strangers)
    turn.tell(
        EventType.SIGNAL_SENT,
        leg.user_id,
        only_for=command.to or (live if len(live) < len(turn.call.legs) else ()),
        signal={"type": command.type, "data": command.data, "to": list(command.to)},
    )
    return None


def upgrade(turn: Turn, command: Upgrade, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """Audio to video: one asks, another consents (scenario 54)."""
    call = turn.call
    if call.call_type is CallType.AUDIO_ONLY:
        return refuse(Code.MEDIA_PERMISSION_DENIED, "this call is audio only")
    if call.call_type is CallType.AUDIO_VIDEO:
        return None
    if command.action == "request":
        if call.upgrade_from is None:
            call.upgrade_from = leg.user_id
            turn.tell(EventType.UPGRADE_REQUESTED, leg.user_id)
        return None
    if call.upgrade_from is None:
        return refuse(Code.NOT_RINGING, "nobody asked for an upgrade")
    if call.upgrade_from == leg.user_id and command.action == "accept":
        return refuse(Code.NOT_AUTHORIZED, "somebody else has to consent")
    call.upgrade_from = None
    if command.action == "accept":
        call.call_type = CallType.AUDIO_VIDEO
        turn.tell(EventType.UPGRADED, leg.user_id)
    else:
        turn.tell(EventType.CALL_UPDATED, leg.user_id, change="upgrade_denied")
    return None
