"""Stories of more than two: answering one by one, coming, going, and being alone."""

import pytest

from service.core.calls import Actor, Policy, engaged_slots
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    DeviceDisconnected,
    HangUp,
    Join,
    MediaConnected,
)
from service.core.vocabulary import ActorType, DeclineReason, EndReason
from tests.core.story import Story, at, nobody_home, person, talking


def connected(story, user, when):
    story.do(Answer, user, when)
    story.do(MediaConnected, user, when)


def test_28_one_answers_one_declines_one_is_silent():
    story = Story("ben", "cem", "dan")
    story.do(Ack, "ben", 1)
    story.do(Decline, "cem", 2)
    assert story.heard == ["participant.declined cem"]
    story.do(Answer, "ben", 3)
    story.do(MediaConnected, "ben", 4)
    assert story.ends == ("connecting", None)
    story.do(MediaConnected, "ann", 5)
    assert story.heard == ["participant.joined ann", "call.active"]
    assert story.call.active_at == at(5)
    assert story.state("dan") == "invited"
    story.settle(60)
    assert story.state("dan") == "missed"
    assert story.ends == ("active", None)


def test_29_all_decline_but_one_never_reacts():
    story = Story("ben", "cem")
    story.do(Decline, "ben", 2)
    assert story.ends == ("dialing", None)
    story.settle(60)
    assert story.ends == ("ended", "no_answer")


@pytest.mark.parametrize(("reason", "end"), [(DeclineReason.NONE, "declined"), (DeclineReason.BUSY, "busy")])
def test_29_all_alike_gives_that_reason(reason, end):
    story = Story("ben", "cem")
    story.do(Decline, "ben", 2, reason=reason)
    story.do(Decline, "cem", 3, reason=reason)
    assert story.ends == ("ended", end)
    assert story.call.ended_by.id == "cem"


def test_29_nobody_could_be_reached():
    story = Story(nobody_home("ben"), nobody_home("cem"))
    story.settle(60)
    assert story.ends == ("ended", "unreachable")


@pytest.mark.parametrize("kind", [Cancel, HangUp])
def test_30_the_caller_leaves_while_others_ring(kind):
    story = Story("ben", "cem")
    story.do(kind, "ann", 5)
    assert story.ends == ("ended", "canceled")
    assert story.state("ben") == story.state("cem") == "canceled"
    assert story.heard == [
        "participant.left ann",
        "participant.left ben",
        "call.missed ben",
        "participant.left cem",
        "call.missed cem",
        "call.ended",
    ]


@pytest.mark.parametrize("kind", [Cancel, HangUp])
def test_31_the_caller_leaves_while_two_others_talk(kind):
    story = talking("ben", "cem")
    story.invite(5, "dan", by="ben")
    assert story.do(kind, "ann", 6) is None
    assert story.heard == ["participant.left ann"]
    assert story.ends == ("active", None)
    assert (story.state("ann"), story.leg("ann").end_reason) == ("left", EndReason.HANGUP)
    assert story.state("dan") == "invited"
    assert story.due == 65
    story.settle(65)
    assert story.ends == ("active", None)
    assert story.due is None


def test_32_a_group_drops_to_one():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    assert story.due is None
    story.do(HangUp, "cem", 20)
    assert story.call.alone_since == at(20)
    assert story.due == 30
    story.settle(29.999)
    assert not story.changed
    story.settle(30)
    assert story.ends == ("ended", "last_left")
    assert story.news[-1].cause.name == "alone_grace"
    assert story.call.alone_since is None


def test_32_pending_rings_keep_it_alive_until_their_deadline():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    story.do(HangUp, "ben", 11)
    story.do(HangUp, "cem", 12)
    assert story.call.alone_since is None
    assert story.due == 70
    story.settle(70)
    assert story.state("dan") == "missed"
    assert story.due == 80
    story.settle(80)
    assert story.ends == ("ended", "last_left")
    assert story.call.ended_at == at(80)


def test_32_late_timers_settle_in_their_order():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    story.do(HangUp, "ben", 11)
    story.do(HangUp, "cem", 12)
    story.settle(500)
    assert [event.occurred_at for event in story.news] == [at(70), at(70), at(80), at(80)]
    assert [event.late_by_ms for event in story.news] == [430_000, 430_000, 420_000, 420_000]
    assert story.ends == ("ended", "last_left")


def test_32_an_invitation_or_a_return_ends_the_loneliness():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    story.do(HangUp, "cem", 11)
    story.invite(15, "dan")
    assert story.call.alone_since is None
    assert story.due == 75
    story.do(Decline, "dan", 20)
    assert story.call.alone_since == at(20)
    story.do(Join, "cem", 25)
    assert story.call.alone_since is None
    assert story.due == 55


def test_32_loneliness_is_counted_once():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    story.do(HangUp, "cem", 11)
    story.invite(12, person("dan", known=False))
    assert story.call.alone_since == at(11)


def test_32_the_last_one_leaves():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    story.do(HangUp, "cem", 11)
    story.do(HangUp, "ann", 12)
    assert story.heard == ["participant.left ann", "call.ended"]
    assert story.ends == ("ended", "last_left")
    assert story.call.ended_by == Actor(ActorType.USER, "ann")


def test_32_who_answers_when_all_others_have_gone_is_alone_at_once():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    for user in ("ann", "ben", "cem"):
        story.do(HangUp, user, 11)
    assert story.ends == ("active", None)
    assert story.due == 70
    connected(story, "dan", 20)
    assert story.call.alone_since == at(20)
    story.settle(30)
    assert story.ends == ("ended", "last_left")


def test_32_everybody_gone_and_the_last_ring_ends():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    for user in ("ann", "ben", "cem"):
        story.do(HangUp, user, 11)
    story.settle(70)
    assert story.ends == ("ended", "last_left")
    assert story.call.ended_at == at(70)


def test_33_the_first_hang_up_of_a_one_to_one_ends_it_for_both():
    story = talking("ben")
    assert story.do(HangUp, "ben", 63) is None
    assert story.heard == ["participant.left ann", "participant.left ben", "call.ended"]
    assert story.ends == ("ended", "hangup")
    assert story.leg("ann").by == story.leg("ben").by == story.call.ended_by == Actor(ActorType.USER, "ben")
    assert story.call.talk_ms == 60_000
    assert engaged_slots(story.call) == {}
    assert story.do(HangUp, "ann", 64) == "call_ended"
    assert story.do(HangUp, "ben", 64) is None
    assert not story.changed


def test_34_a_one_to_one_that_grew_follows_the_conference_rule():
    story = talking("ben")
    assert story.invite(10, "cem") is None
    assert story.call.group
    assert story.heard == ["participant.invited cem"]
    story.do(HangUp, "ben", 11)
    assert story.ends == ("active", None)
    story.do(Answer, "cem", 12)
    assert story.ends == ("active", None)
    assert story.due == 42


def test_a_group_member_that_is_lost_leaves_the_others_talking():
    story = talking("ben", "cem")
    story.do(DeviceDisconnected, "ben", 10)
    assert story.due == 40
    story.settle(40)
    assert story.heard == ["participant.left ben"]
    assert (story.state("ben"), story.leg("ben").end_reason.value) == ("failed", "connection_lost")
    assert story.ends == ("active", None)
    assert story.do(Join, "ben", 41) is None


def test_a_group_member_whose_media_never_comes_up_leaves_the_others_talking():
    story = talking("ben", "cem")
    story.invite(5, "dan")
    story.do(Answer, "dan", 6)
    story.settle(36)
    assert (story.state("dan"), story.leg("dan").end_reason.value) == ("failed", "connect_timeout")
    assert story.ends == ("active", None)


def test_a_backends_caller_that_never_joins_gives_its_place_up():
    story = Story("ben", "cem", device=None)
    connected(story, "ben", 5)
    connected(story, "cem", 6)
    assert story.due == 35
    story.settle(35)
    assert story.state("ann") == "failed"
    assert story.ends == ("active", None)
    assert story.due is None


def test_a_webinar_may_go_on_with_one():
    story = talking("ben", "cem", policy=Policy(min_connected=1))
    story.do(HangUp, "ann", 5)
    story.do(HangUp, "ben", 6)
    assert story.ends == ("active", None)
    assert story.call.alone_since is None
    story.do(HangUp, "cem", 7)
    assert story.ends == ("ended", "last_left")
    assert repr(story.call.talk_ms) == "3000"


def test_a_round_may_want_three():
    story = talking("ben", "cem", policy=Policy(min_connected=3))
    story.do(HangUp, "cem", 10)
    assert story.due == 20
    assert talking("ben", policy=Policy(min_connected=3)).due is None


def test_the_grace_for_being_alone_is_the_policys():
    story = talking("ben", "cem", policy=Policy(alone_grace_s=3))
    story.do(HangUp, "ben", 5)
    story.do(HangUp, "cem", 6)
    assert story.due == 9
