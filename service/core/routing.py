"""Routed calls: the room on a media worker, what its worker reports, and the move of a relayed call that grows."""

from dataclasses import asdict
from datetime import timedelta

from service.core.calls import Call, Leg, Room, Stream
from service.core.commands import (
    FailRoom,
    LoseRoom,
    MediaConnected,
    MediaDown,
    MediaUp,
    OpenRoom,
    Route,
    Slot,
    StreamReport,
    WorkerReport,
)
from service.core.ending import end_call
from service.core.refusals import Code, Refusal
from service.core.robots import is_robot
from service.core.talking import connected, lost
from service.core.turn import Turn, refuse
from service.core.vocabulary import EndReason, EventType, LegState, Topology

MOST_STREAMS = 16
"""Streams of one participant that are noted; a worker lets nobody publish more."""
MOST_LOSSES = 3
LOSSES_WITHIN_S = 60
"""So many workers of one call may die within so long; with the last of them the call ends."""
MESH = 2
"""So many carry their media themselves; with one more the call moves to a worker, where it may."""


def topology_for(asked: Topology | None, people: int, *, workers: bool) -> Topology:
    """What `topology: auto` (`None`) means for so many people: a worker from three on, where there are any."""
    if asked is not None:
        return asked
    return Topology.ROUTED if workers and people > MESH else Topology.RELAYED


def want_room(turn: Turn) -> None:
    """A routed call needs a room from its first answer on."""
    call = turn.call
    if call.topology is Topology.ROUTED and call.room is None and call.answered_at:
        call.room = Room(since=turn.at)


def grow(turn: Turn) -> None:
    """With a third one in, a relayed call that may moves to a worker (B-12)."""
    call = turn.call
    if call.topology is Topology.RELAYED and call.policy.may_route and len(call.joined()) > MESH:
        _move(turn)


def route(turn: Turn, _command: Route) -> Refusal | None:
    """As :func:`grow`, for somebody who needs the worker: it may be had for two, and while it rings."""
    refusal = unroutable(turn.call)
    if refusal is None and turn.call.topology is not Topology.ROUTED:
        _move(turn)
    return refusal


def unroutable(call: Call) -> Refusal | None:
    """Why no worker can carry the call, if none can."""
    if call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    if call.topology is Topology.ROUTED or call.policy.may_route:
        return None
    return refuse(
        Code.INVALID_REQUEST, "the call is relayed: its media goes from device to device; this needs a routed call"
    )


def _move(turn: Turn) -> None:
    """The call's clients offer anew, to the worker. What they said of the media between them counts no more."""
    call = turn.call
    call.topology = Topology.ROUTED
    for leg in call.joined():
        leg.peers, leg.moved_at = [], None
        if is_robot(leg.user_id, leg.device_id):
            continue
        if leg.state is LegState.CONNECTED:
            leg.moved_at = turn.at
        elif leg.state is LegState.RECONNECTING:
            leg.media_lost = True  # its socket alone does not bring it back
        else:
            leg.connected_at = None
    turn.tell(EventType.CALL_UPDATED, change="topology", topology=call.topology.value)
    want_room(turn)


def open_room(turn: Turn, command: OpenRoom) -> Refusal | None:
    """A worker carries the call from now on. Of two replicas that both have one, the first to say so has the room."""
    room = turn.call.room
    if turn.call.ended:
        return refuse(Code.CALL_ENDED, f"the call has ended: {turn.call.end_reason}")
    if room is None or room.epoch != command.epoch:
        return refuse(Code.MEDIA_UNAVAILABLE, "the call wants no worker of this epoch")
    if room.host not in {None, command.host} and not command.adopts:
        return refuse(Code.MEDIA_UNAVAILABLE, "another worker carries the call")
    room.host = command.host
    return None


def lose_room(turn: Turn, command: LoseRoom) -> Refusal | None:
    """The worker died: everybody it carried is `reconnecting`, and the next epoch wants a worker (scenario 47).

    Where workers die again and again, the call itself may be what kills them: then it ends.
    """
    call, room = turn.call, turn.call.room
    if call.ended or room is None or (room.epoch, room.host) != (command.epoch, command.host):
        return None
    lately = turn.at - timedelta(seconds=LOSSES_WITHIN_S)
    losses = [*(at for at in room.losses if at > lately), turn.at]
    if len(losses) >= MOST_LOSSES:
        end_call(turn, EndReason.MEDIA_FAILED, command.actor)
        return None
    call.room = Room(since=turn.at, epoch=room.epoch + 1, losses=losses)
    for leg in call.joined():
        turn.end_streams(leg)
        if not is_robot(leg.user_id, leg.device_id):
            lose_media(turn, leg)
    return None


def fail_room(turn: Turn, command: FailRoom) -> Refusal | None:
    """No worker could be had: the answer stays recorded, the call ends, everybody is told (scenario 48)."""
    call, room = turn.call, turn.call.room
    if not call.ended and room is not None and (room.epoch, room.host) == (command.epoch, command.host):
        end_call(turn, EndReason.MEDIA_FAILED, command.actor)
    return None


def lose_media(turn: Turn, leg: Leg) -> None:
    """The participant has no media any more, whatever its socket says; its grace begins."""
    leg.moved_at = None
    lost(turn, leg)


def media_up(turn: Turn, command: MediaUp, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The worker hears the device: only that makes a leg of a routed call `connected` by evidence."""
    if _counts(turn, command, leg):
        connected(turn, MediaConnected(command.actor, leg.user_id, command.device_id), leg)
    return None


def media_down(turn: Turn, command: MediaDown, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The worker does not hear the device any more (scenarios 39, 40)."""
    if _counts(turn, command, leg):
        lose_media(turn, leg)
    return None


def stream_created(turn: Turn, command: StreamReport, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The participant publishes something new (B-13, O-10)."""
    if _counts(turn, command, leg) and _noted(leg, command.stream) is None and len(leg.streams) < MOST_STREAMS:
        leg.streams.append(command.stream)
        leg.media.screen = leg.media.screen or command.stream.source == "screen"
        turn.tell(EventType.STREAM_CREATED, leg.user_id, stream=asdict(command.stream))
    return None


def stream_changed(turn: Turn, command: StreamReport, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """A stream is not what it was: its codec, its layers, muted or not."""
    if not _counts(turn, command, leg):
        return None
    before = _noted(leg, command.stream)
    if before is not None and before != command.stream:
        leg.streams[leg.streams.index(before)] = command.stream
        turn.tell(EventType.STREAM_CHANGED, leg.user_id, stream=asdict(command.stream))
    return None


def stream_destroyed(turn: Turn, command: StreamReport, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """The participant no longer publishes it."""
    if not _counts(turn, command, leg):
        return None
    before = _noted(leg, command.stream)
    if before is not None:
        leg.streams.remove(before)
        leg.media.screen = any(stream.source == "screen" for stream in leg.streams)
        turn.tell(EventType.STREAM_DESTROYED, leg.user_id, stream=asdict(before))
    return None


def _noted(leg: Leg, stream: Stream) -> Stream | None:
    return next((known for known in leg.streams if known.stream_id == stream.stream_id), None)


def _counts(turn: Turn, report: WorkerReport, leg: Leg) -> bool:
    """Whether a report is of this epoch, newer than all before, and of the device that is in the call (scenario 46)."""
    if _stale(turn.call, report):
        return False
    if turn.call.room:
        turn.call.room.seen = report.number
    return report.device_id == leg.device_id


def _stale(call: Call, report: WorkerReport) -> bool:
    room = call.room
    return room is None or report.epoch != room.epoch or report.number <= room.seen
