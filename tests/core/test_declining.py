"""Stories of refusing: decline, cancel, the wrong button, and one device that cannot."""

import pytest

from service.core.calls import Actor
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    HangUp,
)
from service.core.vocabulary import ActorType, DeclineReason, RingState
from tests.core.story import Story, at, two_devices


def ringing(*callees, **fields):
    """Everybody's phone has acknowledged by second 1."""
    story = Story(*(callees or (two_devices("ben"),)), **fields)
    for leg in story.call.callees():
        story.do(Ack, leg.user_id, 1)
    return story


def test_06_the_first_of_decline_and_answer_wins():
    story = ringing()
    story.do(Answer, "ben", 2, device="ben-tablet")
    assert story.do(Decline, "ben", 2) == "already_answered"
    assert story.ends == ("connecting", None)
    other = ringing()
    other.do(Decline, "ben", 2)
    assert other.do(Answer, "ben", 2, device="ben-tablet") == "already_declined"


def test_07_declined_on_one_device_stops_all_and_the_caller_is_told_once():
    story = ringing()
    assert story.do(Decline, "ben", 3, message="Later!") is None
    assert story.rings("ben") == {"ben-phone": "declined_here", "ben-tablet": "declined_elsewhere"}
    assert story.heard == ["participant.declined ben", "participant.left ann", "call.ended"]
    assert story.ends == ("ended", "declined")
    leg = story.leg("ben")
    assert (leg.decline_reason.value, leg.message, leg.by.id) == ("none", "Later!", "ben")
    assert (leg.end_reason.value, leg.ended_at) == ("declined", at(3))
    assert (story.call.ended_by, story.call.ended_at) == (Actor(ActorType.USER, "ben"), at(3))
    assert story.do(Decline, "ben", 4, device="ben-tablet") is None
    assert not story.changed


def test_07_a_decline_without_a_device_stops_them_elsewhere():
    story = ringing()
    story.do(Decline, "ben", 3, device=None)
    assert set(story.rings("ben").values()) == {"declined_elsewhere"}


@pytest.mark.parametrize("reason", [DeclineReason.NONE, DeclineReason.ERROR, DeclineReason.DO_NOT_DISTURB])
def test_07_the_reason_is_kept(reason):
    story = ringing()
    story.do(Decline, "ben", 3, reason=reason)
    assert story.leg("ben").decline_reason is reason
    assert story.state("ben") == "declined"
    assert story.ends == ("ended", "declined")
    assert "call.missed ben" not in story.heard


def test_declining_for_no_answer_counts_as_missed():
    story = ringing()
    story.do(Decline, "ben", 3, reason=DeclineReason.NO_ANSWER)
    assert story.state("ben") == "missed"
    assert story.leg("ben").by == Actor(ActorType.USER, "ben")
    assert story.leg("ben").decline_reason is DeclineReason.NO_ANSWER
    assert story.heard[:2] == ["participant.missed ben", "call.missed ben"]
    assert story.ends == ("ended", "no_answer")
    assert story.do(Decline, "ben", 4, device="ben-tablet") is None
    assert not story.changed


def test_09_cancel_after_an_answer_is_a_hang_up():
    story = ringing()
    story.do(Answer, "ben", 2)
    assert story.do(Cancel, "ann", 2) is None
    assert story.ends == ("ended", "hangup")


def test_09_an_answer_after_the_cancel_is_too_late():
    story = ringing()
    assert story.do(Cancel, "ann", 2) is None
    assert story.ends == ("ended", "canceled")
    assert story.do(Answer, "ben", 2) == "call_ended"
    assert story.refusal.detail == "the call has ended: canceled"
    assert story.heard == []


def test_10_the_callee_of_a_canceled_call_has_missed_it():
    story = ringing()
    story.do(Cancel, "ann", 2)
    assert story.heard == ["participant.left ann", "participant.left ben", "call.missed ben", "call.ended"]
    assert (story.state("ann"), story.state("ben")) == ("left", "canceled")
    assert set(story.rings("ben").values()) == {"canceled"}
    assert story.leg("ben").by == story.call.ended_by == Actor(ActorType.USER, "ann")
    assert story.do(Cancel, "ann", 3) is None
    assert not story.changed


@pytest.mark.parametrize("kind", [Cancel, HangUp])
def test_10_hanging_up_before_an_answer_is_a_cancel(kind):
    story = ringing()
    story.do(kind, "ann", 2)
    assert story.ends == ("ended", "canceled")


@pytest.mark.parametrize("answered", [False, True])
def test_a_backend_that_acts_for_a_participant_is_named(answered):
    story = ringing()
    if answered:
        story.do(Answer, "ben", 2)
    backend = Actor(ActorType.API, "key-1")
    story.command(HangUp(backend, user_id="ann"), 3)
    assert story.call.ended_by == backend


@pytest.mark.parametrize("answered", [False, True])
def test_a_device_that_acts_for_its_user_is_the_user(answered):
    story = ringing()
    if answered:
        story.do(Answer, "ben", 2)
    story.command(HangUp(Actor(ActorType.DEVICE, "ann-phone"), user_id="ann", device_id="ann-phone"), 3)
    assert story.call.ended_by == Actor(ActorType.USER, "ann")


def test_11_a_decline_after_the_timeout_changes_nothing():
    story = ringing()
    story.settle(61)
    assert story.do(Decline, "ben", 62) == "ring_expired"
    assert story.heard == []
    assert not story.changed


def test_51_a_callee_cannot_hang_up_before_the_start():
    story = ringing()
    assert story.do(HangUp, "ben", 2) == "not_initiator"
    assert story.do(Cancel, "ben", 2) == "not_initiator"
    story.do(Answer, "ben", 3)
    assert story.do(Cancel, "ben", 4) == "not_initiator"
    assert story.do(HangUp, "ben", 5) is None


@pytest.mark.parametrize(
    ("reason", "state", "end", "stop", "missed"),
    [
        (DeclineReason.NOT_SUPPORTED, "not_supported", "not_supported", "not_supported", False),
        (DeclineReason.BUSY, "busy", "busy", "declined_here", True),
    ],
)
def test_52_what_one_device_cannot_do_stops_that_device_only(reason, state, end, stop, missed):
    story = ringing()
    assert story.do(Decline, "ben", 2, reason=reason, message="no camera") is None
    assert story.heard == []
    assert story.rings("ben") == {"ben-phone": stop, "ben-tablet": "queued"}
    assert story.ends == ("ringing", None)
    assert story.do(Decline, "ben", 3, reason=reason) is None
    assert not story.changed
    story.do(Decline, "ben", 4, device="ben-tablet", reason=reason, message="nor here")
    assert (story.state("ben"), story.leg("ben").message) == (state, "nor here")
    assert story.leg("ben").decline_reason is reason
    assert story.leg("ben").by == Actor(ActorType.USER, "ben")
    assert story.ends == ("ended", end)
    assert story.rings("ben") == {"ben-phone": stop, "ben-tablet": stop}
    assert ("call.missed ben" in story.heard) is missed
    assert story.heard[0] == ("participant.busy ben" if missed else "participant.declined ben")


@pytest.mark.parametrize(
    ("reason", "stop"),
    [(DeclineReason.NOT_SUPPORTED, "not_supported"), (DeclineReason.BUSY, "declined_elsewhere")],
)
def test_52_said_of_no_device_it_is_said_of_all(reason, stop):
    story = ringing()
    story.do(Decline, "ben", 2, device=None, reason=reason)
    assert set(story.rings("ben").values()) == {stop}
    assert story.call.ended


def test_52_a_device_that_already_stopped_does_not_count():
    story = ringing()
    story.leg("ben").rings[1].state = RingState.FAILED
    story.do(Decline, "ben", 2, reason=DeclineReason.NOT_SUPPORTED)
    assert story.ends == ("ended", "not_supported")
    assert story.rings("ben")["ben-tablet"] == "failed"
