"""Stories of inviting, rejoining, removing and hunting."""

import pytest

from service.core.calls import Actor, Policy, engaged_slots
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    HangUp,
    Join,
    MediaConnected,
    Mute,
    Remove,
    Slot,
)
from service.core.vocabulary import ActorType, EndReason, Role
from tests.core.story import API, Story, at, nobody_home, person, talking

ELSEWHERE = (Slot("018f5e10-0000-7000-8000-00000000aaaa", 0),)


HUNT = Policy(hunt=True)


def connected(story, user, when):
    story.do(Answer, user, when)
    story.do(MediaConnected, user, when)


def test_35_an_invitation_rings_with_its_own_deadline():
    story = talking("ben", "cem")
    story.invite(100, "dan")
    assert (story.state("dan"), story.leg("dan").attempt) == ("invited", 1)
    assert (story.leg("dan").ring_deadline, story.leg("dan").invited_at) == (at(160), at(100))
    assert story.rings("dan") == {"dan-phone": "sent"}
    assert story.leg("dan").first_seq == story.news[0].seq
    assert engaged_slots(story.call)["dan"] == 0
    story.settle(160)
    assert story.state("dan") == "missed"


@pytest.mark.parametrize("how", ["declined", "missed", "left", "removed"])
def test_35_who_was_in_before_is_invited_again_as_the_next_attempt(how):
    story = talking("ben", "cem")
    story.invite(5, "dan")
    if how == "declined":
        story.do(Decline, "dan", 6, message="no")
    elif how == "missed":
        story.settle(65)
    else:
        connected(story, "dan", 6)
        if how == "left":
            story.do(HangUp, "dan", 7)
        else:
            story.server(Remove, 7, target="dan")
    assert story.state("dan") == how
    first, first_seq = story.leg("dan").rings[0], story.leg("dan").first_seq
    story.invite(100, person("dan", role=Role.MODERATOR))
    leg = story.leg("dan")
    assert (leg.state.value, leg.attempt, leg.ring_deadline, leg.name) == ("invited", 2, at(160), "Dan")
    assert leg.role is Role.PUBLISHER
    assert (leg.first_seq, leg.invited_at) == (first_seq, at(100))
    facts = (leg.end_reason, leg.decline_reason, leg.message, leg.by, leg.ended_at, leg.answered_at, leg.device_id)
    assert facts == (None,) * 7
    assert [ring.attempt for ring in leg.rings] == [1, 2]
    assert leg.rings[0] == first
    assert leg.rings[0].id != leg.rings[1].id
    assert leg.ring_of("dan-phone") is leg.rings[1]
    assert [leg.user_id for leg in story.call.legs].count("dan") == 1
    connected(story, "dan", 101)
    assert story.state("dan") == "connected"


def test_35_an_alert_of_an_earlier_attempt_proves_nothing_of_this_one():
    story = talking("ben", "cem")
    story.invite(5, "dan")
    story.do(Decline, "dan", 6)
    story.invite(10, nobody_home("dan"))
    story.settle(70)
    assert story.state("dan") == "unreachable"


def test_35_a_new_name_replaces_the_old_and_no_name_does_not():
    story = Story(person("ben", avatar_url="a.png"), "cem")
    story.do(Decline, "ben", 1)
    story.invite(2, nobody_home("ben"))
    assert (story.leg("ben").name, story.leg("ben").avatar_url) == ("Ben", "a.png")
    story.do(Decline, "ben", 3)
    story.invite(4, person("ben", avatar_url="b.png"))
    assert story.leg("ben").avatar_url == "b.png"


@pytest.mark.parametrize(
    ("facts", "state", "heard"),
    [
        ({"known": False}, "unreachable", ["participant.invited dan", "participant.unreachable dan"]),
        ({"forbidden": True}, "failed", ["participant.invited dan", "participant.left dan"]),
        (
            {"do_not_disturb": True},
            "declined",
            ["participant.invited dan", "participant.declined dan", "call.missed dan"],
        ),
    ],
)
def test_35_an_invitation_that_cannot_ring_ends_at_once(facts, state, heard):
    story = talking("ben", "cem")
    assert story.invite(5, person("dan", **facts)) is None
    assert story.state("dan") == state
    assert story.heard == heard
    assert story.ends == ("active", None)


def test_35_a_busy_invitee_is_busy():
    story = talking("ben", "cem")
    story.invite(5, "dan", engaged={"dan": ELSEWHERE})
    assert story.state("dan") == "busy"


def test_35_who_is_named_twice_is_rung_once():
    story = talking("ben")
    assert story.invite(5, "cem", "cem") is None
    assert story.leg("cem").attempt == 1
    assert story.heard == ["participant.invited cem"]


def test_36_an_invite_of_somebody_inside_changes_nothing():
    story = talking("ben")
    assert story.invite(5, "ben") is None
    assert not story.changed
    assert not story.call.group
    story.invite(6, "cem")
    assert story.invite(7, "cem") is None
    assert not story.changed


def test_only_who_is_in_can_invite():
    story = Story("ben", "cem")
    story.do(Decline, "ben", 1)
    for user in ("ben", "cem", "zoe"):
        assert story.invite(2, "dan", by=user) == "not_participant"
    assert story.invite(3, "dan", by=None) is None
    story.do(Cancel, "ann", 4)
    assert story.invite(5, "eve") == "call_ended"


@pytest.mark.parametrize(("people", "code"), [(("dan",), None), (("dan", "eve"), "capacity_exceeded")])
def test_an_invitation_needs_room(people, code):
    story = talking("ben", "cem")
    assert story.invite(5, *people) == code
    assert (story.leg("dan") is None) is bool(code)


def test_the_places_of_those_who_left_are_free_again():
    story = talking("ben", "cem", "dan")
    assert story.invite(5, "eve") == "capacity_exceeded"
    story.do(HangUp, "dan", 6)
    assert story.invite(7, "eve") is None


def test_an_invitation_before_anybody_answered_makes_a_group():
    story = Story("ben")
    story.invite(10, "cem")
    assert story.call.group
    story.do(Decline, "ben", 20)
    assert story.ends == ("dialing", None)
    assert story.due == 70


def test_37_rejoin_after_leaving():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    assert story.do(Join, "ben", 20, device="ben-web") is None
    assert story.heard == ["participant.invited ben", "participant.answered ben"]
    leg = story.leg("ben")
    assert (leg.state.value, leg.attempt, leg.device_id, leg.answered_at) == ("answered", 2, "ben-web", at(20))
    assert leg.name == "Ben"
    assert story.call.answered_at == at(2)
    assert engaged_slots(story.call)["ben"] == 0
    story.do(MediaConnected, "ben", 21, device="ben-web")
    assert story.heard == ["participant.joined ben"]


def test_37_the_caller_may_come_back_too_and_stays_the_caller():
    story = talking("ben", "cem")
    story.do(HangUp, "ann", 10)
    assert story.do(Join, "ann", 20) is None
    assert story.call.caller.user_id == "ann"
    assert story.state("ann") == "answered"


@pytest.mark.parametrize("how", ["declined", "busy", "missed", "unreachable"])
def test_37_who_did_not_take_the_ring_may_join_later(how):
    first = nobody_home("dan") if how == "unreachable" else "dan"
    story = talking("ben", "cem")
    story.invite(5, first, engaged={"dan": ELSEWHERE} if how == "busy" else None)
    if how == "declined":
        story.do(Decline, "dan", 6)
    story.settle(70)
    assert story.state("dan") == how
    assert story.do(Join, "dan", 71) is None
    assert (story.state("dan"), story.leg("dan").attempt) == ("answered", 2)


def test_37_not_into_a_call_that_is_over_or_full_or_from_another_call():
    story = talking("ben", "cem", "dan")
    story.do(HangUp, "ben", 10)
    assert story.do(Join, "ben", 11, engaged={"ben": ELSEWHERE}) == "initiator_busy"
    assert story.refusal.users == ("ben",)
    story.invite(12, "eve")
    assert story.do(Join, "ben", 13) == "capacity_exceeded"
    story.do(Decline, "eve", 14)
    assert story.do(Join, "ben", 15) is None
    for user in ("ann", "ben", "cem", "dan"):
        story.do(HangUp, user, 16)
    assert story.ends == ("ended", "last_left")
    assert story.do(Join, "ben", 17) == "call_ended"
    assert not story.changed


def test_37_joining_a_ring_is_answering_it():
    story = Story("ben", "cem")
    assert story.do(Join, "ben", 3) is None
    assert story.heard == ["participant.answered ben", "call.answered ben"]
    assert story.leg("ben").attempt == 1


def test_37_a_guest_comes_in_without_a_ring():
    story = talking("ben")
    assert story.do(Join, "gus", 5, device="gus-web") == "not_participant"
    assert story.do(Join, "gus", 6, device="gus-web", person=person("gus", role=Role.SUBSCRIBER)) is None
    assert story.heard == ["participant.invited gus", "participant.answered gus"]
    leg = story.leg("gus")
    assert (leg.state.value, leg.role, leg.device_id, leg.rings) == ("answered", Role.SUBSCRIBER, "gus-web", [])
    assert leg.first_seq == story.news[0].seq
    assert story.call.group
    assert story.due == 36


@pytest.mark.parametrize(
    ("engaged", "others", "code"),
    [({"gus": ELSEWHERE}, ("ben",), "initiator_busy"), ({}, ("ben", "cem", "dan"), "capacity_exceeded")],
)
def test_37_a_guest_needs_room_and_time(engaged, others, code):
    story = talking(*others)
    assert story.do(Join, "gus", 5, engaged=engaged, person=person("gus")) == code
    assert story.leg("gus") is None
    assert not story.changed


def test_37_no_guest_comes_to_a_call_that_is_over():
    story = talking("ben")
    story.do(HangUp, "ben", 5)
    assert story.do(Join, "gus", 6, person=person("gus")) == "call_ended"


def test_37_a_blocked_user_cannot_come_in_by_the_back_door():
    story = Story(person("ben", forbidden=True), "cem", "dan")
    assert story.do(Join, "ben", 2) == "forbidden_by_policy"
    assert story.state("ben") == "failed"


def test_38_no_rejoin_after_removal_until_invited_again():
    story = talking("ben", "cem")
    moderator = Actor(ActorType.USER, "ann")
    assert story.server(Remove, 10, by=moderator, target="ben", user_id="ann") is None
    assert story.heard == ["participant.removed ben"]
    leg = story.leg("ben")
    assert (leg.state.value, leg.end_reason.value, leg.by) == ("removed", "removed", moderator)
    assert "ben" not in engaged_slots(story.call)
    for kind in (Join, Answer, Ack, Decline, HangUp, Cancel):
        assert story.do(kind, "ben", 11) == "not_participant"
    assert story.server(Remove, 12, target="ben") is None
    assert not story.changed
    story.invite(13, "ben")
    assert story.do(Answer, "ben", 14) is None


def test_38_a_ringing_participant_can_be_removed_too():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    story.server(Remove, 11, target="dan")
    assert story.rings("dan") == {"dan-phone": "canceled"}
    assert story.due is None


@pytest.mark.parametrize("target", ["ann", "ben"])
def test_38_a_removal_from_a_one_to_one_ends_it(target):
    story = talking("ben")
    story.server(Remove, 10, target=target)
    assert story.ends == ("ended", "removed")
    other = "ben" if target == "ann" else "ann"
    assert (story.state(target), story.state(other)) == ("removed", "left")
    assert story.call.ended_by == story.leg(other).by == story.leg(target).by == API
    assert story.leg(other).end_reason is story.leg(target).end_reason is EndReason.REMOVED
    assert story.server(Remove, 11, target=target) == "call_ended"


def test_38_without_its_caller_an_unanswered_group_is_over():
    story = Story("ben", "cem")
    story.server(Remove, 10, target="ann")
    assert story.ends == ("ended", "removed")
    assert story.state("ben") == "canceled"


def test_38_a_removed_callee_of_an_unanswered_group_is_just_gone():
    story = Story("ben", "cem")
    story.server(Remove, 10, target="ben")
    assert story.ends == ("dialing", None)
    story.server(Remove, 11, target="cem")
    assert story.ends == ("ended", "removed")
    assert story.call.ended_by == API


def test_38_after_an_answer_the_caller_can_be_removed_from_a_group():
    story = talking("ben", "cem")
    story.server(Remove, 10, target="ann")
    assert story.ends == ("active", None)
    story.server(Remove, 11, target="cem")
    assert story.call.alone_since == at(11)


def test_38_a_stranger_cannot_be_removed():
    story = talking("ben")
    assert story.server(Remove, 10, target="zoe") == "not_participant"
    assert story.refusal.users == ("zoe",)


def test_38_a_mute_outlasts_a_rejoin():
    story = talking("ben", "cem")
    story.server(Mute, 10, target="ben", audio=False, video=False)
    story.do(HangUp, "ben", 11)
    story.do(Join, "ben", 12)
    leg = story.leg("ben")
    assert (leg.muted_audio, leg.muted_video, leg.media.audio, leg.media.video) == (True, True, False, False)


def test_60_a_deleted_user_is_terminated_and_no_longer_engaged():
    story = talking("ben", "cem")
    story.server(Remove, 10, target="ben", reason=EndReason.TERMINATED)
    assert story.leg("ben").end_reason is EndReason.TERMINATED
    assert "ben" not in engaged_slots(story.call)
    pair = talking("ben")
    pair.server(Remove, 10, target="ben", reason=EndReason.TERMINATED)
    assert pair.ends == ("ended", "terminated")


def test_61_the_first_takes_it_and_the_others_missed_nothing():
    story = Story("ben", "cem", "dan", policy=HUNT)
    story.do(Ack, "ben", 1)
    story.do(Answer, "cem", 2)
    assert story.heard == [
        "participant.answered cem",
        "call.answered cem",
        "participant.left ben",
        "participant.left dan",
    ]
    assert [event.details.get("answered_by") for event in story.news] == [None, None, "cem", "cem"]
    for user in ("ben", "dan"):
        assert story.rings(user) == {f"{user}-phone": "answered_elsewhere"}
        assert (story.state(user), story.leg(user).by) == ("canceled", Actor(ActorType.USER, "cem"))
        assert story.leg(user).end_reason is EndReason.CANCELED
        assert story.do(Answer, user, 3) == "already_answered"
    assert set(engaged_slots(story.call)) == {"ann", "cem"}
    assert story.call.alone_since is None


def test_61_who_is_called_in_later_hunts_no_more():
    story = Story("ben", "cem", policy=HUNT)
    connected(story, "ben", 2)
    story.do(MediaConnected, "ann", 3)
    story.invite(5, "dan", "eve")
    story.do(Answer, "dan", 6)
    assert story.state("eve") == "invited"


def test_61_the_taken_call_is_one_of_two():
    story = Story("ben", "cem", policy=HUNT)
    connected(story, "ben", 2)
    story.do(MediaConnected, "ann", 3)
    assert story.call.group is False
    assert story.ends == ("active", None)
    story.do(HangUp, "ann", 10)
    assert story.ends == ("ended", "hangup")
    assert story.state("cem") == "canceled"


@pytest.mark.parametrize("back", ["invited", "by itself"])
def test_61_with_a_third_it_is_a_conference_again(back):
    story = Story("ben", "cem", policy=HUNT)
    connected(story, "ben", 2)
    story.do(MediaConnected, "ann", 3)
    if back == "invited":
        story.invite(4, "cem")
        story.do(Answer, "cem", 5)
    else:
        story.do(Join, "cem", 5)
    story.do(HangUp, "ann", 10)
    assert story.ends == ("active", None)


def test_61_without_hunting_the_others_ring_on():
    story = Story("ben", "cem")
    story.do(Answer, "ben", 2)
    assert story.state("cem") == "invited"
