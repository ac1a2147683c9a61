"""The state table, written out a second time from the specification and compared with what the machine does.

A cell says what a command of that participant does:
`.` nothing at all · `*` something is kept or told, the leg's state stays · `state` the leg's state afterwards ·
`code!` refused: caller! not_initiator, answered! already_answered, declined! already_declined,
ended! call_ended, expired! ring_expired, ringing! not_ringing, stranger! not_participant.
"""

from importlib.util import module_from_spec, spec_from_file_location

import pytest

from service.core import commands, machine
from service.core.calls import Policy
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    Device,
    DeviceConnected,
    DeviceDisconnected,
    DeviceRegistered,
    DeviceRemoved,
    End,
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
    StreamChanged,
    StreamCreated,
    StreamDestroyed,
    StreamReport,
    Upgrade,
    UserCommand,
    WorkerReport,
)
from service.core.machine import NAMES, TABLE
from service.core.turn import Cause, Turn
from service.core.vocabulary import CallType, DeclineReason, LegState, Provider
from tests.core.story import API, NOON, Story, nobody_home, person

CODES = {
    "caller!": "not_initiator",
    "answered!": "already_answered",
    "declined!": "already_declined",
    "ended!": "call_ended",
    "expired!": "ring_expired",
    "ringing!": "not_ringing",
    "stranger!": "not_participant",
}

# The same in a group and in a one-to-one call: a callee whose part is not over. No worker carries these calls: what one
# says of them has no effect (test_routing.py tells of calls that one carries).
LIVE = """
                invited       ringing       answered  connected    reconnecting
ack             ringing       .             .         .            .
silence         *             *             .         .            .
answer          answered      answered      .         .            .
answer_other    answered      answered      answered! answered!    answered!
decline         declined      declined      answered! answered!    answered!
decline_missed  missed        missed        answered! answered!    answered!
decline_busy    busy          busy          answered! answered!    answered!
decline_unable  not_supported not_supported answered! answered!    answered!
cancel          caller!       caller!       caller!   caller!      caller!
hang_up         caller!       caller!       left      left         left
join            answered      answered      .         .            .
join_other      answered      answered      *         answered     answered
hold            ringing!      ringing!      *         *            *
signal          *             *             *         *            *
upgrade         ringing!      ringing!      *         *            *
media_changed   ringing!      ringing!      *         *            *
media_connected ringing!      ringing!      connected .            connected
media_lost      ringing!      ringing!      .         reconnecting *
media_up        .             .             .         .            .
media_down      .             .             .         .            .
stream_created  .             .             .         .            .
stream_changed  .             .             .         .            .
stream_gone     .             .             .         .            .
pushed          *             *             *         *            *
perhaps         *             *             *         *            *
fell_back       *             *             .         .            .
device_back     .             .             .         .            connected
device_gone     .             .             *         reconnecting .
device_new      .             .             .         .            .
device_removed  *             *             .         .            .
"""

# A callee whose part is over, in a group call that goes on.
OVER_IN_GROUP = """
                declined  busy     missed   unreachable canceled  left     removed   failed   not_supported replaced
ack             .         ringing! expired! expired!    answered! ringing! stranger! ringing! .             ringing!
silence         .         ringing! expired! expired!    answered! ringing! stranger! ringing! .             ringing!
answer          declined! ringing! expired! expired!    answered! ringing! stranger! ringing! declined!     ringing!
answer_other    declined! ringing! expired! expired!    answered! ringing! stranger! ringing! declined!     ringing!
decline         .         .        expired! expired!    answered! ringing! stranger! ringing! .             ringing!
decline_missed  .         .        expired! expired!    answered! ringing! stranger! ringing! .             ringing!
decline_busy    .         .        expired! expired!    answered! ringing! stranger! ringing! .             ringing!
decline_unable  .         .        expired! expired!    answered! ringing! stranger! ringing! .             ringing!
cancel          caller!   caller!  caller!  caller!     caller!   caller!  stranger! caller!  caller!       caller!
hang_up         ringing!  ringing! ringing! ringing!    ringing!  .        stranger! ringing! ringing!      ringing!
join            answered  answered answered answered    answered  answered stranger! answered answered      answered
join_other      answered  answered answered answered    answered  answered stranger! answered answered      answered
hold            ringing!  ringing! ringing! ringing!    ringing!  ringing! stranger! ringing! ringing!      ringing!
signal          ringing!  ringing! ringing! ringing!    ringing!  ringing! stranger! ringing! ringing!      ringing!
upgrade         ringing!  ringing! ringing! ringing!    ringing!  ringing! stranger! ringing! ringing!      ringing!
media_changed   ringing!  ringing! ringing! ringing!    ringing!  ringing! stranger! ringing! ringing!      ringing!
media_connected ringing!  ringing! ringing! ringing!    ringing!  ringing! stranger! ringing! ringing!      ringing!
media_lost      ringing!  ringing! ringing! ringing!    ringing!  ringing! stranger! ringing! ringing!      ringing!
media_up        .         .        .        .           .         .        .         .        .             .
media_down      .         .        .        .           .         .        .         .        .             .
stream_created  .         .        .        .           .         .        .         .        .             .
stream_changed  .         .        .        .           .         .        .         .        .             .
stream_gone     .         .        .        .           .         .        .         .        .             .
pushed          *         *        *        .           *         *        *         *        *             *
perhaps         *         *        *        .           *         *        *         *        *             *
fell_back       .         .        .        .           .         .        .         .        .             .
device_back     .         .        .        .           .         .        .         .        .             .
device_gone     .         .        .        .           .         .        .         .        .             .
device_new      .         .        .        .           .         .        .         .        .             .
device_removed  .         .        .        .           .         .        .         .        .             .
"""

# A callee whose part is over, and the one-to-one call with it.
OVER_ONE_TO_ONE = """
                declined  busy     missed   unreachable canceled left    removed   failed  not_supported replaced
ack             .         ringing! expired! expired!    ended!   ended!  stranger! ended!  .             ended!
silence         .         ringing! expired! expired!    ended!   ended!  stranger! ended!  .             ended!
answer          declined! ringing! expired! expired!    ended!   ended!  stranger! ended!  declined!     ended!
answer_other    declined! ringing! expired! expired!    ended!   ended!  stranger! ended!  declined!     ended!
decline         .         .        expired! expired!    ended!   ended!  stranger! ended!  .             ended!
decline_missed  .         .        expired! expired!    ended!   ended!  stranger! ended!  .             ended!
decline_busy    .         .        expired! expired!    ended!   ended!  stranger! ended!  .             ended!
decline_unable  .         .        expired! expired!    ended!   ended!  stranger! ended!  .             ended!
cancel          caller!   caller!  caller!  caller!     caller!  caller! stranger! caller! caller!       caller!
hang_up         ended!    ended!   ended!   ended!      ended!   .       stranger! ended!  ended!        ended!
join            ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
join_other      ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
hold            ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
signal          ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
upgrade         ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
media_changed   ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
media_connected ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
media_lost      ended!    ended!   ended!   ended!      ended!   ended!  stranger! ended!  ended!        ended!
media_up        .         .        .        .           .        .       .         .       .             .
media_down      .         .        .        .           .        .       .         .       .             .
stream_created  .         .        .        .           .        .       .         .       .             .
stream_changed  .         .        .        .           .        .       .         .       .             .
stream_gone     .         .        .        .           .        .       .         .       .             .
pushed          *         *        *        .           *        *       *         *       *             *
perhaps         *         *        *        .           *        *       *         *       *             *
fell_back       .         .        .        .           .        .       .         .       .             .
device_back     .         .        .        .           .        .       .         .       .             .
device_gone     .         .        .        .           .        .       .         .       .             .
device_new      .         .        .        .           .        .       .         .       .             .
device_removed  .         .        .        .           .        .       .         .       .             .
"""

# The initiator, who is `answered` from the dial on.
CALLER = """
                dialing   answered  connected    reconnecting hung_up canceled_it hung_up_on
ack             .         .         .            .            ended!  ended!      ended!
silence         .         .         .            .            ended!  ended!      ended!
answer          .         .         .            .            ended!  ended!      ended!
answer_other    answered! answered! answered!    answered!    ended!  ended!      ended!
decline         answered! answered! answered!    answered!    ended!  ended!      ended!
cancel          left      left      left         left         .       .           ended!
hang_up         left      left      left         left         .       .           ended!
join            .         .         .            .            ended!  ended!      ended!
join_other      *         *         answered     answered     ended!  ended!      ended!
hold            *         *         *            *            ended!  ended!      ended!
signal          *         *         *            *            ended!  ended!      ended!
upgrade         *         *         *            *            ended!  ended!      ended!
media_changed   *         *         *            *            ended!  ended!      ended!
media_connected *         connected .            connected    ended!  ended!      ended!
media_lost      .         .         reconnecting *            ended!  ended!      ended!
device_back     .         .         .            connected    .       .           .
device_gone     *         *         reconnecting .            .       .           .
device_new      .         .         .            .            .       .           .
device_removed  .         .         .            .            .       .           .
"""

# The initiator of a click-to-dial: its own ring, how it may end before anybody else is dialled, and what follows from
# the pick-up. A one-to-one call is over with its initiator.
CLICKED = """
                invited       ringing       declined  busy     missed   unreachable canceled removed   not_supported
ack             ringing       .             .         ringing! expired! expired!    ended!   stranger! .
silence         *             *             .         ringing! expired! expired!    ended!   stranger! .
answer          answered      answered      declined! ringing! expired! expired!    ended!   stranger! declined!
answer_other    answered      answered      declined! ringing! expired! expired!    ended!   stranger! declined!
decline         declined      declined      .         .        expired! expired!    ended!   stranger! .
decline_missed  missed        missed        .         .        expired! expired!    ended!   stranger! .
decline_busy    busy          busy          .         .        expired! expired!    ended!   stranger! .
decline_unable  not_supported not_supported .         .        expired! expired!    ended!   stranger! .
cancel          canceled      canceled      ended!    ended!   ended!   ended!      .        stranger! ended!
hang_up         canceled      canceled      ended!    ended!   ended!   ended!      .        stranger! ended!
join            answered      answered      ended!    ended!   ended!   ended!      ended!   stranger! ended!
join_other      answered      answered      ended!    ended!   ended!   ended!      ended!   stranger! ended!
hold            ringing!      ringing!      ended!    ended!   ended!   ended!      ended!   stranger! ended!
signal          *             *             ended!    ended!   ended!   ended!      ended!   stranger! ended!
upgrade         ringing!      ringing!      ended!    ended!   ended!   ended!      ended!   stranger! ended!
media_changed   ringing!      ringing!      ended!    ended!   ended!   ended!      ended!   stranger! ended!
media_connected ringing!      ringing!      ended!    ended!   ended!   ended!      ended!   stranger! ended!
media_lost      ringing!      ringing!      ended!    ended!   ended!   ended!      ended!   stranger! ended!
media_up        .             .             .         .        .        .           .        .         .
fell_back       *             *             .         .        .        .           .        .         .
device_back     .             .             .         .        .        .           .        .         .
device_gone     .             .             .         .        .        .           .        .         .
device_new      .             .             .         .        .        .           .        .         .
device_removed  *             *             .         .        .        .           .        .         .
"""

# What outsiders do, by the state of the call: here a state is the call's own.
OUTSIDE = """
       dialing ringing connecting active ended
invite *       *       *          *      ended!
remove ended   ended   ended      ended  ended!
mute   *       *       *          *      ended!
route  *       *       *          *      ended!
end    ended   ended   ended      ended  .
settle .       .       .          .      .
"""


WOKEN = Device("ben-phone", provider=Provider.FCM)
RING = Story("ben").leg("ben").rings[0].id
FROM_THE_WORKER = {"epoch": 1, "number": 1}


def cells(table):
    header, *lines = table.strip("\n").splitlines()
    for line in lines:
        command, *row = line.split()
        for state, cell in zip(header.split(), row, strict=True):
            yield pytest.param(command, state, cell, id=f"{command}-{state}")


def command_of(name):
    elsewhere = {"device": "ben-tablet"}
    return {
        "ack": (Ack, {}),
        "silence": (Silence, {}),
        "answer": (Answer, {}),
        "answer_other": (Answer, elsewhere),
        "decline": (Decline, {}),
        "decline_missed": (Decline, {"reason": DeclineReason.NO_ANSWER}),
        "decline_busy": (Decline, {"reason": DeclineReason.BUSY}),
        "decline_unable": (Decline, {"reason": DeclineReason.NOT_SUPPORTED}),
        "cancel": (Cancel, {}),
        "hang_up": (HangUp, {}),
        "join": (Join, {}),
        "join_other": (Join, elsewhere),
        "hold": (Hold, {}),
        "signal": (Signal, {"type": "chat"}),
        "upgrade": (Upgrade, {}),
        "media_changed": (MediaChanged, {"audio": False}),
        "media_connected": (MediaConnected, {}),
        "media_lost": (MediaLost, {}),
        "media_up": (MediaUp, FROM_THE_WORKER),
        "media_down": (MediaDown, FROM_THE_WORKER),
        "stream_created": (StreamCreated, FROM_THE_WORKER),
        "stream_changed": (StreamChanged, FROM_THE_WORKER),
        "stream_gone": (StreamDestroyed, FROM_THE_WORKER),
        "pushed": (Pushed, {"ring_id": RING}),
        "perhaps": (Pushed, {"ring_id": RING, "accepted": False, "perhaps": True}),
        "fell_back": (FellBack, {}),
        "device_back": (DeviceConnected, {}),
        "device_gone": (DeviceDisconnected, {}),
        "device_new": (DeviceRegistered, {"device": WOKEN}),
        "device_removed": (DeviceRemoved, {}),
    }[name]


def ben_with(state, others=(), **policy):
    """A call in which Ben's leg has come to that state; Ann and the others talk, if there are others."""
    first = nobody_home("ben") if state == "unreachable" else person("ben")
    given = Policy(hunt=state == "canceled", **policy)
    story = Story(first, *others, call_type=CallType.AUDIO_UPGRADABLE, policy=given)
    if state == "canceled":
        return canceled(story, others)
    for user in others:
        story.do(Answer, user, 0)
    for user in ("ann", *others) if others else ():
        story.do(MediaConnected, user, 0)
    for act in WAYS[state]:
        act(story)
    if state == "replaced":
        story.leg("ben").state = LegState.REPLACED
    assert story.state("ben") == state
    return story


def canceled(story, others):
    """By a hunt that somebody else won, where there is somebody else; else by the caller."""
    if others:
        story.do(Answer, others[0], 0)
    else:
        story.do(Cancel, "ann", 0)
    assert story.state("ben") == "canceled"
    return story


def act(kind, **fields):
    return lambda story: story.do(kind, "ben", 1, **fields)


def late(story):
    story.settle(60)


def lost(story):
    story.settle(32)


def removed(story):
    story.server(Remove, 1, target="ben")


def ends(story):
    if not story.call.group:
        story.server(End, 1)


def unplugged(story):
    """Nothing on Ben's leg tells that it left by itself."""
    ends(story)
    story.leg("ben").by = None


UP = (act(Answer), act(MediaConnected))
WAYS = {
    "invited": (),
    "ringing": (act(Ack),),
    "answered": (act(Answer),),
    "connected": UP,
    "reconnecting": (*UP, act(DeviceDisconnected)),
    "declined": (act(Decline),),
    "busy": (act(Decline, reason=DeclineReason.BUSY),),
    "missed": (late,),
    "unreachable": (late,),
    "left": (*UP, act(HangUp)),
    "removed": (removed,),
    "failed": (*UP, act(DeviceDisconnected), lost),
    "not_supported": (act(Decline, reason=DeclineReason.NOT_SUPPORTED),),
    "replaced": (unplugged,),
}


def check(story, user, name, cell):
    kind, fields = command_of(name)
    before = story.state(user)
    code = story.do(kind, user, 70 if before in {"missed", "unreachable", "failed"} else 1, **fields)
    if cell in CODES:
        assert code == CODES[cell]
        assert not story.changed
        return
    assert code is None
    if cell == ".":
        assert not story.changed
    else:
        assert story.changed
        assert story.state(user) == (before if cell == "*" else cell)


@pytest.mark.parametrize(("command", "state", "cell"), [*cells(LIVE), *cells(OVER_IN_GROUP)])
def test_a_callee_of_a_group(command, state, cell):
    check(ben_with(state, ("cem", "dan")), "ben", command, cell)


@pytest.mark.parametrize(("command", "state", "cell"), [*cells(LIVE), *cells(OVER_ONE_TO_ONE)])
def test_a_callee_of_a_one_to_one(command, state, cell):
    check(ben_with(state), "ben", command, cell)


@pytest.mark.parametrize(("command", "state", "cell"), [*cells(CALLER)])
def test_the_caller(command, state, cell):
    story = Story("ben", call_type=CallType.AUDIO_UPGRADABLE)
    if state not in {"dialing", "canceled_it"}:
        story.do(Answer, "ben", 0)
    if state in {"connected", "reconnecting"}:
        story.do(MediaConnected, "ann", 0)
    if state == "reconnecting":
        story.do(DeviceDisconnected, "ann", 0)
    if state in {"hung_up", "canceled_it"}:
        story.do(HangUp, "ann", 0)
    if state == "hung_up_on":
        story.do(HangUp, "ben", 0)
    check(story, "ann", command, cell)


@pytest.mark.parametrize(("command", "state", "cell"), [*cells(CLICKED)])
def test_the_initiator_who_is_rung_first(command, state, cell):
    first = nobody_home("ben") if state == "unreachable" else person("ben")
    fields = {"call_type": CallType.AUDIO_UPGRADABLE, "ring_initiator": True}
    story = Story("ann", caller="ben", initiator=first, **fields)
    if state == "canceled":
        story.do(Cancel, "ben", 1)
    for act in WAYS.get(state, ()):
        act(story)
    assert story.state("ben") == state
    check(story, "ben", command, cell)
    assert story.call.ended == (story.state("ben") not in {"invited", "ringing", "answered"})


@pytest.mark.parametrize(("command", "state", "cell"), [*cells(OUTSIDE)])
def test_an_outsider(command, state, cell):
    story = {
        "dialing": lambda: Story("ben", policy=Policy(may_route=True)),
        "ringing": lambda: ben_with("ringing", may_route=True),
        "connecting": lambda: ben_with("answered", may_route=True),
        "active": lambda: ben_with("connected", may_route=True),
        "ended": lambda: ben_with("left", may_route=True),
    }[state]()
    if state == "active":
        story.do(MediaConnected, "ann", 1)
    assert story.ends[0] == state
    kind, fields = {
        "invite": (Invite, {"people": (person("zoe"),)}),
        "remove": (Remove, {"target": "ben"}),
        "mute": (Mute, {"target": "ben", "audio": False}),
        "route": (Route, {}),
        "end": (End, {}),
        "settle": (Settle, {}),
    }[command]
    code = story.server(kind, 2, by=API, **fields)
    if cell in CODES:
        assert code == CODES[cell]
    else:
        assert code is None
        assert story.changed is (cell != ".")
        assert story.ends[0] == (cell if cell == "ended" else state)


def test_the_table_is_whole():
    said = {kind for kind in vars(commands).values() if isinstance(kind, type) and issubclass(kind, UserCommand)}
    assert set(TABLE) == said - {UserCommand, RingCommand, WorkerReport, StreamReport}
    for kind, line in TABLE.items():
        assert set(line) == set(LegState), kind
    assert {command_of(param.values[0])[0] for param in cells(LIVE)} == set(TABLE)
    states = {param.values[1] for table in (LIVE, OVER_IN_GROUP) for param in cells(table)}
    assert states == {state.value for state in LegState}


def test_commands_are_named_in_small_letters():
    assert {kind.__name__: name for kind, name in NAMES.items() if name in {"hang_up", "ack", "media_connected"}} == {
        "HangUp": "hang_up",
        "Ack": "ack",
        "MediaConnected": "media_connected",
    }
    assert set(NAMES) == {*TABLE, Invite, Remove, Mute, End, Route, Settle, OpenRoom, LoseRoom, FailRoom}


def test_the_table_is_built_as_it_reads():
    """A second copy of the module, built now: the rules and names that were put together at import are the same."""
    spec = spec_from_file_location(machine.__name__, machine.__file__)
    copy = module_from_spec(spec)
    spec.loader.exec_module(copy)
    assert copy.NAMES == NAMES
    leg, turn = Story("ben").leg("ben"), Turn(Story("ben").call, NOON, Cause("command", "test", API))
    for kind, line in TABLE.items():
        assert set(copy.TABLE[kind]) == set(line)
        for state, rule in line.items():
            assert copy.TABLE[kind][state].__name__ == rule.__name__
            if rule.__name__ == "refused":
                assert copy.TABLE[kind][state](turn, None, leg, ()) == rule(turn, None, leg, ())
