"""Every "no" with its code, its sentence and the users it names: clients show them, so they do not change unseen."""

import pytest

from service.core.calls import Policy
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    HangUp,
    Hold,
    Invite,
    Join,
    MediaChanged,
    MediaConnected,
    Mute,
    Remove,
    Route,
    Signal,
    Slot,
    Upgrade,
)
from service.core.dialing import dial
from service.core.refusals import Refusal
from service.core.vocabulary import CallType, DeclineReason
from tests.core.story import API, NOON, Story, dialing, nobody_home, person, talking

ELSEWHERE = (Slot("018f5e10-0000-7000-8000-00000000aaaa", 0),)


def rings(*others, **fields):
    return lambda: Story("ben", *others, **fields)


def talks(*others, **fields):
    return lambda: talking("ben", *others, **fields)


def after(begin, kind, user="ben", when=4, **fields):
    def story():
        told = begin()
        told.do(kind, user, when, **fields)
        return told

    return story


def late(begin, when):
    def story():
        told = begin()
        told.settle(when)
        return told

    return story


def does(kind, user="ben", **fields):
    return lambda story: story.do(kind, user, 70, **fields)


def asks(kind, engaged=None, **fields):
    return lambda story: story.server(kind, 70, engaged=engaged, **fields)


OVER = after(talks(), HangUp, "ann")
GONE = after(talks("cem"), HangUp)
AUDIO = talks(call_type=CallType.AUDIO_UPGRADABLE)
LONG = {"policy": Policy(ring_timeout_s=180, connect_timeout_s=180)}
FULL = talks("cem", "dan")


def blocked():
    return Story(person("ben", forbidden=True), "cem", **LONG)


def removed():
    story = talking("ben", "cem")
    story.server(Remove, 5, target="ben")
    return story


def moderated(**muted):
    def story():
        told = talking("ben")
        told.server(Mute, 5, target="ben", **muted)
        return told

    return story


NOS = [
    # who is nobody
    (talks(), does(Hold, "zoe"), "not_participant", "you are not in this call", ("zoe",)),
    (talks(), does(Join, "zoe"), "not_participant", "you are not in this call", ()),
    (removed, does(Join), "not_participant", "you were removed from this call", ("ben",)),
    (talks(), asks(Remove, target="zoe"), "not_participant", "no such participant in this call", ("zoe",)),
    (talks(), asks(Mute, target="zoe"), "not_participant", "no such participant in this call", ("zoe",)),
    (GONE, asks(Mute, target="ben"), "not_participant", "no such participant in this call", ("ben",)),
    (
        talks(),
        asks(Invite, people=(person("dan"),), user_id="zoe"),
        "not_participant",
        "only somebody in the call can invite",
        (),
    ),
    (talks(), does(Signal, to=("eve", "zoe")), "not_participant", "the addressee is not in the call", ("eve", "zoe")),
    (talks(), does(MediaConnected, peer="zoe"), "not_participant", "the peer is not in the call", ("zoe",)),
    # too late
    (late(rings("cem"), 60), does(Answer), "ring_expired", "the ring expired before that", ("ben",)),
    (late(rings("cem"), 60), does(Decline), "ring_expired", "the ring expired before that", ("ben",)),
    (late(rings("cem"), 60), does(Ack), "ring_expired", "the ring expired before that", ("ben",)),
    (OVER, does(HangUp), "call_ended", "the call has ended: hangup", ()),
    (OVER, does(Join), "call_ended", "the call has ended: hangup", ()),
    (OVER, does(Join, "zoe", person=person("zoe")), "call_ended", "the call has ended: hangup", ()),
    (OVER, asks(Invite, people=(person("dan"),)), "call_ended", "the call has ended: hangup", ()),
    (OVER, asks(Remove, target="ben"), "call_ended", "the call has ended: hangup", ()),
    (OVER, asks(Mute, target="ben"), "call_ended", "the call has ended: hangup", ()),
    (OVER, asks(Route), "call_ended", "the call has ended: hangup", ()),
    (after(rings(), Cancel, "ann"), does(Answer), "call_ended", "the call has ended: canceled", ()),
    (GONE, does(Hold), "not_ringing", "you are no longer in this call; use join to come back", ()),
    # somebody was quicker
    (
        after(rings("cem", policy=Policy(hunt=True, connect_timeout_s=180)), Answer, "cem"),
        does(Answer),
        "already_answered",
        "somebody else took the call",
        ("ben",),
    ),
    (
        talks(),
        does(Answer, device="ben-web"),
        "already_answered",
        "the call was answered on another device",
        ("ben",),
    ),
    (talks(), does(Decline), "already_answered", "the call was answered; use hangup", ("ben",)),
    (
        talks(),
        does(MediaConnected, device="ben-web"),
        "already_answered",
        "another device of yours is in the call",
        ("ben",),
    ),
    (after(rings("cem", **LONG), Decline), does(Answer), "already_declined", "the call was declined", ("ben",)),
    (
        after(rings("cem", **LONG), Decline, reason=DeclineReason.BUSY),
        does(Answer),
        "not_ringing",
        "the user was busy; nothing rings",
        ("ben",),
    ),
    (
        after(lambda: Story(person("ben"), **LONG), Decline, reason=DeclineReason.BUSY, device="ben-web"),
        does(Hold),
        "not_ringing",
        "answer the call first",
        ("ben",),
    ),
    # not theirs
    (talks(), does(Cancel), "not_initiator", "only the initiator can cancel; use decline or hangup", ()),
    (GONE, does(Cancel), "not_initiator", "only the initiator can cancel; use decline or hangup", ()),
    (rings(**LONG), does(HangUp), "not_initiator", "the call has not been answered; use decline", ()),
    (blocked, does(Join), "forbidden_by_policy", "you may not come into this call", ("ben",)),
    (GONE, does(Join, engaged={"ben": ELSEWHERE}), "initiator_busy", "you are in another call", ("ben",)),
    (
        talks(),
        does(Join, "zoe", engaged={"zoe": ELSEWHERE}, person=person("zoe")),
        "initiator_busy",
        "you are in another call",
        ("zoe",),
    ),
    (
        rings(policy=Policy(notify_only=True, ring_timeout_s=180)),
        does(Answer, engaged={"ben": ELSEWHERE}),
        "initiator_busy",
        "you are in another call",
        ("ben",),
    ),
    (FULL, asks(Invite, people=(person("eve"),)), "capacity_exceeded", "at most 4 participants", ()),
    (FULL, does(Join, "eve", person=person("eve")), "capacity_exceeded", "at most 4 participants", ()),
    # media
    (
        talks(),
        asks(Route),
        "invalid_request",
        "the call is relayed: its media goes from device to device; this needs a routed call",
        (),
    ),
    (
        rings(device=None, **LONG),
        does(MediaConnected, "ann", device=None),
        "invalid_request",
        "say which device is connected",
        ("ann",),
    ),
    (
        AUDIO,
        does(MediaChanged, video=True),
        "media_permission_denied",
        "this call carries audio only; ask for an upgrade",
        (),
    ),
    (moderated(audio=False), does(MediaChanged, audio=True), "media_permission_denied", "a moderator muted you", ()),
    (moderated(video=False), does(MediaChanged, video=True), "media_permission_denied", "a moderator muted you", ()),
    (
        talks(call_type=CallType.AUDIO_ONLY),
        does(Upgrade),
        "media_permission_denied",
        "this call is audio only",
        (),
    ),
    (AUDIO, does(Upgrade, action="accept"), "not_ringing", "nobody asked for an upgrade", ()),
    (after(AUDIO, Upgrade), does(Upgrade, action="accept"), "not_authorized", "somebody else has to consent", ()),
]


@pytest.mark.parametrize(("begin", "act", "code", "detail", "users"), NOS)
def test_a_no_says_why(begin, act, code, detail, users):
    story = begin()
    assert act(story) == code
    assert (story.refusal.detail, story.refusal.users) == (detail, users)


@pytest.mark.parametrize(
    ("dialled", "engaged", "code", "detail", "users"),
    [
        (dialing("ann"), {}, "cannot_call_self", "you cannot call yourself", ("ann",)),
        (
            dialing(),
            {},
            "invalid_request",
            "a call needs at least one participant besides the initiator",
            (),
        ),
        (dialing("b", "c", "d", "e"), {}, "capacity_exceeded", "at most 4 participants", ()),
        (
            dialing("ben", initiator=person("ann", known=False)),
            {},
            "invalid_users",
            "the initiator is unknown",
            ("ann",),
        ),
        (dialing("ben"), {"ann": ELSEWHERE}, "initiator_busy", "the initiator is in another call", ("ann",)),
        (dialing(nobody_home("ben", known=False)), {}, "invalid_users", "there is no such user", ("ben",)),
        (
            dialing(person("ben", forbidden=True)),
            {},
            "forbidden_by_policy",
            "the user does not take calls from the initiator",
            ("ben",),
        ),
    ],
)
def test_a_dial_that_is_refused_says_why(dialled, engaged, code, detail, users):
    answer = dial(dialled, engaged, NOON)
    assert isinstance(answer, Refusal)
    assert (answer.code.value, answer.detail, answer.users) == (code, detail, users)


def test_a_stopped_ring_says_so():
    story = Story(person("ben"), "cem")
    story.leg("ben").rings[0].state = story.leg("ben").rings[0].state.STOPPED
    assert story.do(Ack, "ben", 2) == "not_ringing"
    assert (story.refusal.detail, story.refusal.users) == ("this device's ring has already stopped", ("ben",))


def test_a_backend_is_refused_like_anybody():
    story = talking("ben")
    assert story.command(Cancel(API, user_id="ben"), 5) == "not_initiator"
