"""The machine: what each command means in each state of the participant's leg.

Read :data:`TABLE` aloud: "an *answer* of a leg that is *ringing* is *accepted*; of one that is *missed*, *too late*".
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from service.core.alerting import fell_back, pushed, pushed_late
from service.core.answering import acknowledge, answer_again, decline, declined_late, silence
from service.core.calls import Call, Leg
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Command,
    Decline,
    DeviceConnected,
    DeviceDisconnected,
    DeviceRegistered,
    DeviceRemoved,
    End,
    Engaged,
    FailRoom,
    FellBack,
    HangUp,
    Hold,
    Invite,
    Join,
    LoseRoom,
    MediaChanged,
    MediaConnected,
    MediaDown,
    MediaLost,
    MediaUp,
    Mute,
    OpenRoom,
    Pushed,
    Remove,
    RingCommand,
    Route,
    Settle,
    Signal,
    Silence,
    Slot,
    StreamChanged,
    StreamCreated,
    StreamDestroyed,
    Upgrade,
    UserCommand,
    WorkerReport,
)
from service.core.deadlines import settle
from service.core.ending import restate
from service.core.joining import (
    device_connected,
    device_disconnected,
    device_registered,
    device_removed,
    invite,
    join_new,
    move_device,
    rejoin,
)
from service.core.leaving import (
    cancel,
    cancel_late,
    closed,
    end,
    hang_up,
    leave_early,
    left_before,
    over,
    remove,
)
from service.core.outgoing import pick_up
from service.core.refusals import Code, Refusal
from service.core.routing import (
    fail_room,
    lose_room,
    media_down,
    media_up,
    open_room,
    route,
    stream_changed,
    stream_created,
    stream_destroyed,
)
from service.core.talking import (
    hold,
    media_changed,
    media_connected,
    media_lost,
    mute,
    signal,
    upgrade,
)
from service.core.turn import Cause, Decision, Turn, refuse
from service.core.vocabulary import LegState

Rule = Callable[[Turn, Any, Leg, tuple[Slot, ...]], Refusal | None]


def nothing(_turn: Turn, _command: UserCommand, _leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """It has already had its effect, or means nothing here: tell nobody anything."""
    return None


def no(code: Code, detail: str) -> Rule:
    """A rule that always refuses."""

    def refused(_turn: Turn, _command: UserCommand, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
        return refuse(code, detail, leg.user_id)

    return refused


def taken(turn: Turn, _command: UserCommand, leg: Leg, _engaged: tuple[Slot, ...]) -> Refusal | None:
    """A canceled leg: the caller gave up (gone), or in a hunt somebody else was quicker (scenario 61)."""
    if not turn.call.ended:
        return refuse(Code.ALREADY_ANSWERED, "somebody else took the call", leg.user_id)
    return closed(turn.call)


too_late = no(Code.RING_EXPIRED, "the ring expired before that")
declined_before = no(Code.ALREADY_DECLINED, "the call was declined")
was_busy = no(Code.NOT_RINGING, "the user was busy; nothing rings")
removed_before = no(Code.NOT_PARTICIPANT, "you were removed from this call")
answered_before = no(Code.ALREADY_ANSWERED, "the call was answered; use hangup")
answer_first = no(Code.NOT_RINGING, "answer the call first")


def row(**cells: Rule) -> Mapping[LegState, Rule]:
    """One line of the table: a rule for every leg state, `pending`, `joined` and `gone` naming groups of them."""
    groups = {
        "pending": (LegState.INVITED, LegState.RINGING),
        "joined": (LegState.ANSWERED, LegState.CONNECTED, LegState.RECONNECTING),
        "late": (LegState.MISSED, LegState.UNREACHABLE),
        "refused": (LegState.DECLINED, LegState.NOT_SUPPORTED),
        "gone": (LegState.LEFT, LegState.FAILED, LegState.REPLACED),
    }
    line: dict[LegState, Rule] = {}
    for name, rule in cells.items():
        for state in groups.get(name) or (LegState(name),):
            line[state] = rule
    return MappingProxyType(line)


# fmt: off
TABLE: Mapping[type[UserCommand], Mapping[LegState, Rule]] = MappingProxyType({
    Ack:                row(pending=acknowledge, joined=nothing, refused=nothing, busy=was_busy,
                            late=too_late, canceled=taken, gone=over, removed=removed_before),
    Silence:            row(pending=silence, joined=nothing, refused=nothing, busy=was_busy,
                            late=too_late, canceled=taken, gone=over, removed=removed_before),
    Answer:             row(pending=pick_up, joined=answer_again, refused=declined_before, busy=was_busy,
                            late=too_late, canceled=taken, gone=over, removed=removed_before),
    Decline:            row(pending=decline, joined=answered_before, refused=nothing, busy=nothing,
                            late=declined_late, canceled=taken, gone=over, removed=removed_before),
    Cancel:             row(pending=leave_early, joined=cancel, refused=cancel_late, busy=cancel_late,
                            late=cancel_late, canceled=left_before, gone=left_before, removed=removed_before),
    HangUp:             row(pending=leave_early, joined=hang_up, refused=over, busy=over,
                            late=over, canceled=left_before, gone=left_before, removed=removed_before),
    Join:               row(pending=pick_up, joined=move_device, refused=rejoin, busy=rejoin,
                            late=rejoin, canceled=rejoin, gone=rejoin, removed=removed_before),
    Hold:               row(pending=answer_first, joined=hold, refused=over, busy=over,
                            late=over, canceled=over, gone=over, removed=removed_before),
    Signal:             row(pending=signal, joined=signal, refused=over, busy=over,
                            late=over, canceled=over, gone=over, removed=removed_before),
    Upgrade:            row(pending=answer_first, joined=upgrade, refused=over, busy=over,
                            late=over, canceled=over, gone=over, removed=removed_before),
    MediaChanged:       row(pending=answer_first, joined=media_changed, refused=over, busy=over,
                            late=over, canceled=over, gone=over, removed=removed_before),
    MediaConnected:     row(pending=answer_first, joined=media_connected, refused=over, busy=over,
                            late=over, canceled=over, gone=over, removed=removed_before),
    MediaLost:          row(pending=answer_first, joined=media_lost, refused=over, busy=over,
                            late=over, canceled=over, gone=over, removed=removed_before),
    MediaUp:            row(pending=nothing, joined=media_up, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    MediaDown:          row(pending=nothing, joined=media_down, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    StreamCreated:      row(pending=nothing, joined=stream_created, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    StreamChanged:      row(pending=nothing, joined=stream_changed, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    StreamDestroyed:    row(pending=nothing, joined=stream_destroyed, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    Pushed:             row(pending=pushed, joined=pushed_late, refused=pushed_late, busy=pushed_late,
                            late=pushed_late, canceled=pushed_late, gone=pushed_late, removed=pushed_late),
    FellBack:           row(pending=fell_back, joined=nothing, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    DeviceConnected:    row(pending=device_connected, joined=device_connected, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    DeviceDisconnected: row(pending=nothing, joined=device_disconnected, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    DeviceRegistered:   row(pending=device_registered, joined=nothing, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
    DeviceRemoved:      row(pending=device_removed, joined=nothing, refused=nothing, busy=nothing,
                            late=nothing, canceled=nothing, gone=nothing, removed=nothing),
})
# fmt: on


OF_THE_CALL: Mapping[type[Command], Callable[[Turn, Any], Refusal | None]] = MappingProxyType(
    {
        Remove: remove,
        Mute: mute,
        End: end,
        Route: route,
        OpenRoom: open_room,
        LoseRoom: lose_room,
        FailRoom: fail_room,
    }
)
"""What concerns the call as a whole, whoever asks."""


def decide(call: Call, command: Command, engaged: Engaged, now: datetime) -> Decision:
    """Apply a command to a call at a moment.

    `engaged` holds the other calls of the users this command may newly engage. What is overdue is settled first and
    stays settled even when the command is then refused (scenario 12). Time never runs backwards. Nothing given is
    changed. Raises nothing: a "no" is `Decision.refusal`.
    """
    now = max(now, call.touched_at)
    by_worker = isinstance(command, WorkerReport | OpenRoom | LoseRoom | FailRoom)
    cause = Cause("report" if by_worker else "command", NAMES[type(command)], command.actor)
    turn = Turn(call.copy(), now, cause, engaged)
    settle(turn)
    turn.set_time(now, cause)
    refusal = _apply(turn, command, engaged)
    restate(turn)
    if turn.call == call:
        return Decision(call, refusal=refusal)
    turn.call.touched_at = now
    return Decision(turn.call, tuple(turn.events), changed=True, refusal=refusal)


def _apply(turn: Turn, command: Command, engaged: Engaged) -> Refusal | None:
    if isinstance(command, UserCommand):
        leg = turn.call.leg(command.user_id)
        other = engaged.get(command.user_id, ())
        if leg is not None:
            if isinstance(command, RingCommand) and _is_of_an_earlier_ring(command, leg):
                return refuse(Code.RING_EXPIRED, "the user was invited again since that ring", command.user_id)
            return TABLE[type(command)][leg.state](turn, command, leg, other)
        if isinstance(command, Join):
            return join_new(turn, command, other)
        return refuse(Code.NOT_PARTICIPANT, "you are not in this call", command.user_id)
    if isinstance(command, Invite):
        return invite(turn, command, engaged)
    rule = OF_THE_CALL.get(type(command))
    return rule(turn, command) if rule else None


def _is_of_an_earlier_ring(command: RingCommand, leg: Leg) -> bool:
    """Whoever acts by a ring acts in the invitation that the ring was of."""
    ring = leg.ring_of(command.device_id)
    return command.ring_id is not None and (ring is None or ring.id != command.ring_id)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


NAMES: Mapping[type[Command], str] = MappingProxyType(
    {kind: _snake(kind.__name__) for kind in (*TABLE, *OF_THE_CALL, Invite, Settle)},
)
