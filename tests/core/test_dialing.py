"""Stories of dialling; the number in a name is the scenario's."""

import pytest

from service.core.calls import Policy, engaged_slots
from service.core.commands import Ack, Answer, Decline, Device, DeviceDisconnected, Hold, MediaConnected, Person, Slot
from service.core.dialing import common_type, dial, merges_into, replaces
from service.core.refusals import Code, Refusal
from service.core.vocabulary import CallType, Provider, Role
from tests.core.story import (
    CALL_ID,
    NOON,
    Story,
    at,
    dialing,
    nobody_home,
    person,
    talking,
    two_devices,
)

BUSY_ELSEWHERE = (Slot("018f5e10-0000-7000-8000-00000000aaaa", 0),)
WAITING = Policy(call_waiting=True)


def refused(*callees, engaged=None, **fields):
    """The code with which a dial is refused."""
    answer = dial(dialing(*callees, **fields), engaged or {}, NOON)
    assert isinstance(answer, Refusal), answer
    return answer.code.value


def test_a_dial_rings_everybody_and_engages_them():
    story = Story("ben")
    assert story.heard == ["call.created", "participant.invited ben"]
    assert story.ends == ("dialing", None)
    assert (story.state("ann"), story.state("ben")) == ("answered", "invited")
    assert engaged_slots(story.call) == {"ann": 0, "ben": 0}
    assert story.rings("ben") == {"ben-phone": "sent"}
    assert story.due == 60
    assert not story.call.group
    assert {(event.cause.kind, event.cause.name, event.cause.by.id) for event in story.news} == {
        ("command", "dial", "ann"),
    }
    assert {(event.occurred_at, event.late_by_ms) for event in story.news} == {(NOON, 0)}


def test_the_call_is_what_was_asked_for():
    story = Story(
        person("ben", role=Role.SUBSCRIBER, avatar_url="https://x/b.png"),
        "cem",
        call_type=CallType.AUDIO_ONLY,
        custom={"order": 7},
        policy=Policy(ring_timeout_s=5, max_participants=3),
    )
    call = story.call
    assert (call.id, call.app_id, call.initiator, call.call_type) == (CALL_ID, "app", "ann", CallType.AUDIO_ONLY)
    assert (call.created_at, call.touched_at, call.custom, call.group) == (NOON, NOON, {"order": 7}, True)
    ann, ben, cem = call.legs
    assert (ann.device_id, ann.name, ann.role, ann.answered_at) == ("ann-phone", "Ann", Role.PUBLISHER, NOON)
    assert (ben.role, ben.avatar_url, ben.name, ben.attempt) == (Role.SUBSCRIBER, "https://x/b.png", "Ben", 1)
    assert [leg.invited_at for leg in call.legs] == [NOON] * 3
    assert [leg.ring_deadline for leg in call.legs] == [None, at(5), at(5)]
    assert [leg.first_seq for leg in call.legs] == [1, 1, 1]
    assert not any(leg.media.video for leg in call.legs)
    assert not any(leg.media.screen for leg in call.legs)
    assert [leg.media.audio for leg in call.legs] == [True, False, True]
    assert cem.answered_at is None
    assert all(leg.media.video for leg in Story("ben").call.legs)


def test_every_device_is_alerted_on_its_best_way():
    story = Story(two_devices("ben"))
    on_socket, by_push = story.leg("ben").rings
    assert (on_socket.device_id, on_socket.state.value, on_socket.via) == ("ben-phone", "sent", "socket")
    assert (on_socket.sent_at, on_socket.queued_at, on_socket.attempt) == (NOON, NOON, 1)
    assert (by_push.device_id, by_push.state.value, by_push.via) == ("ben-tablet", "queued", "push")
    assert by_push.sent_at is None
    assert on_socket.id != by_push.id


def test_ring_ids_are_the_same_for_the_same_alert_and_differ_otherwise():
    def ids(*people, **fields):
        return [ring.id for leg in Story(*people, **fields).call.legs for ring in leg.rings]

    assert ids(two_devices("ben"), "cem") == ids(two_devices("ben"), "cem")
    assert len(set(ids(two_devices("ben"), "cem"))) == 3
    other = ids("ben", call_id="018f5e10-0000-7000-8000-000000000002")
    assert other != ids("ben")


def ringing_from_ben(call_type=CallType.AUDIO_VIDEO, **fields):
    """Ben has dialled Ann; her phone rings."""
    story = Story("ann", caller="ben", device="ben-phone", call_type=call_type, **fields)
    story.do(Ack, "ann", 1)
    return story


def test_01_glare_the_second_create_answers_the_first_call_for_the_creating_device():
    story = ringing_from_ben()
    assert merges_into(story.call, dialing("ben"))
    assert story.do(Answer, "ann", 2, device="ann-tablet", common_type=CallType.AUDIO_VIDEO) is None
    assert story.heard == ["participant.answered ann", "call.answered ann"]
    assert story.leg("ann").device_id == "ann-tablet"
    assert story.rings("ann") == {"ann-phone": "answered_elsewhere"}
    assert story.call.call_type is CallType.AUDIO_VIDEO


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        (CallType.AUDIO_VIDEO, CallType.AUDIO_ONLY, CallType.AUDIO_ONLY),
        (CallType.AUDIO_VIDEO, CallType.AUDIO_UPGRADABLE, CallType.AUDIO_UPGRADABLE),
        (CallType.AUDIO_UPGRADABLE, CallType.AUDIO_ONLY, CallType.AUDIO_ONLY),
        (CallType.AUDIO_ONLY, CallType.AUDIO_VIDEO, CallType.AUDIO_ONLY),
    ],
)
def test_01_glare_takes_the_common_media_never_silently_video(first, second, common):
    assert common_type(first, second) is common
    story = ringing_from_ben(first)
    story.do(Answer, "ann", 2, common_type=common_type(first, second))
    assert story.call.call_type is common
    assert [leg.media.video for leg in story.call.legs] == [False, False]


def test_01_glare_of_two_video_calls_keeps_the_picture():
    story = ringing_from_ben()
    story.do(Answer, "ann", 2, common_type=CallType.AUDIO_VIDEO)
    assert all(leg.media.video for leg in story.call.legs)


def test_01_a_retried_create_after_a_merge_is_merged_again():
    story = ringing_from_ben()
    story.do(Answer, "ann", 2, device="ann-tablet")
    assert merges_into(story.call, dialing("ben", device="ann-tablet"))
    assert not merges_into(story.call, dialing("ben", device="ann-phone"))
    assert story.do(Answer, "ann", 3, device="ann-tablet") is None
    assert story.heard == []


def test_02_different_people_are_no_glare_but_the_busy_rule():
    story = ringing_from_ben()
    assert not merges_into(story.call, dialing("ben", "cem"))
    assert not merges_into(story.call, dialing("cem"))
    group = Story("ann", "cem", caller="ben")
    assert not merges_into(group.call, dialing("ben"))
    assert refused("ben", engaged={"ann": BUSY_ELSEWHERE}) == "initiator_busy"


def test_03_who_dials_second_merges_and_never_both():
    story = ringing_from_ben()
    assert merges_into(story.call, dialing("ben"))
    assert not merges_into(story.call, dialing("ann", caller="ben"))
    assert not merges_into(story.call, dialing("ann", caller="cem"))
    assert not merges_into(story.call, dialing("ben", caller="cem"))
    story.do(Decline, "ann", 2)
    assert not merges_into(story.call, dialing("ben"))
    assert not merges_into(talking("ann", caller="ben", device="ben-phone").call, dialing("ben"))


def test_20_a_busy_callee_is_not_rung_and_gets_a_missed_call():
    story = Story("ben", engaged={"ben": BUSY_ELSEWHERE})
    assert story.ends == ("ended", "busy")
    assert story.heard == [
        "call.created",
        "participant.invited ben",
        "participant.busy ben",
        "call.missed ben",
        "participant.left ann",
        "call.ended",
    ]
    assert story.rings("ben") == {}
    assert story.leg("ben").end_reason.value == "busy"
    assert (story.state("ben"), story.state("ann")) == ("busy", "left")
    assert engaged_slots(story.call) == {}
    assert story.due is None


def test_20_whoever_takes_no_ring_at_all_is_busy_at_once():
    story = Story(person("ben", busy=True))
    assert story.ends == ("ended", "busy")
    assert (story.state("ben"), story.rings("ben")) == ("busy", {})
    assert "call.missed ben" in story.heard
    waiting = Story(person("ben", busy=True), policy=Policy(call_waiting=True))
    assert waiting.ends == ("ended", "busy")
    assert Story(person("ben", busy=True), policy=Policy(notify_only=True)).state("ben") == "invited"


def test_20_in_a_group_the_others_ring_on():
    story = Story("ben", "cem", engaged={"ben": BUSY_ELSEWHERE})
    assert story.ends == ("dialing", None)
    assert (story.state("ben"), story.state("cem")) == ("busy", "invited")
    assert engaged_slots(story.call) == {"ann": 0, "cem": 0}


def test_20_a_group_of_busy_people_is_busy():
    story = Story("ben", "cem", engaged={"ben": BUSY_ELSEWHERE, "cem": BUSY_ELSEWHERE})
    assert story.ends == ("ended", "busy")


def test_20_busy_and_unreachable_is_no_answer():
    story = Story(person("ben", known=False), "cem", engaged={"cem": BUSY_ELSEWHERE})
    assert story.ends == ("ended", "no_answer")


@pytest.mark.parametrize(("held", "free"), [(0, 1), (1, 0)])
def test_21_call_waiting_rings_as_a_second_call_in_the_other_slot(held, free):
    engaged = {"ben": (Slot("018f5e10-0000-7000-8000-00000000aaaa", held),)}
    story = Story("ben", engaged=engaged, policy=WAITING)
    assert story.ends == ("dialing", None)
    assert engaged_slots(story.call) == {"ann": 0, "ben": free}
    assert story.do(Answer, "ben", 3, engaged=engaged) is None
    assert story.state("ben") == "answered"


def test_21_a_third_call_finds_the_user_busy():
    both = (Slot("a", 0), Slot("b", 1))
    assert Story("ben", engaged={"ben": both}, policy=WAITING).ends == ("ended", "busy")
    assert refused("ben", engaged={"ann": both}, policy=WAITING) == "initiator_busy"


def test_21_hold_puts_the_first_call_aside_and_takes_it_back():
    story = talking("ben")
    assert story.do(Hold, "ben", 10) is None
    assert story.heard == ["participant.media_changed ben"]
    assert story.news[0].details == {"held": True}
    assert story.leg("ben").held
    story.do(Hold, "ben", 11)
    assert story.heard == []
    story.do(Hold, "ben", 12, held=False)
    assert story.news[0].details == {"held": False}
    assert not story.leg("ben").held
    assert story.ends == ("active", None)


def test_22_two_callers_ring_the_same_idle_user_the_slot_decides():
    first = Story("ben")
    second = Story("ben", caller="cem", engaged={"ben": (Slot(CALL_ID, engaged_slots(first.call)["ben"]),)})
    assert first.ends == ("dialing", None)
    assert second.ends == ("ended", "busy")


def test_23_the_caller_cannot_start_a_second_call():
    assert refused("cem", engaged={"ann": BUSY_ELSEWHERE}) == "initiator_busy"


@pytest.mark.parametrize(("held", "free"), [(0, 1), (1, 0)])
def test_23_unless_the_app_allows_it(held, free):
    story = Story("cem", engaged={"ann": (Slot("x", held),)}, policy=WAITING)
    assert engaged_slots(story.call) == {"ann": free, "cem": 0}


def test_24_nobody_calls_themselves():
    assert refused("ann") == "cannot_call_self"
    assert refused("ann", "ann") == "cannot_call_self"


def test_25_duplicates_are_dropped_and_so_is_the_caller():
    story = Story("ben", "ann", "ben")
    assert [leg.user_id for leg in story.call.legs] == ["ann", "ben"]
    assert not story.call.group
    assert refused() == "invalid_request"


def test_26_an_unknown_or_blocked_callee_refuses_a_one_to_one_dial():
    assert refused(person("ben", known=False)) == "invalid_users"
    assert refused(person("ben", forbidden=True)) == "forbidden_by_policy"
    answer = dial(dialing(person("ben", known=False)), {}, NOON)
    assert answer.users == ("ben",)


def test_a_name_that_nobody_can_have_refuses_a_one_to_one_dial_with_what_is_wrong():
    answer = dial(dialing(person("test:juggle", wrong="no such kind")), {}, NOON)
    assert answer == Refusal(Code.INVALID_REQUEST, "no such kind", ("test:juggle",))
    story = Story(person("test:juggle", wrong="no such kind"), "ben")
    assert (story.state("test:juggle"), story.rings("test:juggle")) == ("unreachable", {})
    assert story.ends == ("dialing", None)


def test_26_in_a_group_only_that_leg_ends():
    story = Story(person("ben", known=False), person("cem", forbidden=True), "dan")
    assert story.ends == ("dialing", None)
    assert (story.state("ben"), story.leg("ben").end_reason.value) == ("unreachable", "unreachable")
    assert (story.state("cem"), story.leg("cem").end_reason.value) == ("failed", "forbidden")
    assert story.state("dan") == "invited"
    assert story.all_heard == [
        "call.created",
        "participant.invited ben",
        "participant.unreachable ben",
        "participant.invited cem",
        "participant.left cem",
        "participant.invited dan",
    ]


def test_26_a_group_of_blocked_people_is_forbidden():
    assert Story(person("ben", forbidden=True), person("cem", forbidden=True)).ends == ("ended", "forbidden")


def test_27_do_not_disturb_does_not_ring_and_leaves_a_missed_entry():
    story = Story(person("ben", do_not_disturb=True))
    assert story.ends == ("ended", "declined")
    leg = story.leg("ben")
    assert (leg.state.value, leg.decline_reason.value) == ("declined", "do_not_disturb")
    assert leg.by.type.value == "server"
    assert leg.rings == []
    assert "call.missed ben" in story.heard


def test_the_initiator_must_exist():
    assert refused("ben", initiator=person("ann", known=False)) == "invalid_users"


@pytest.mark.parametrize(("callees", "fits"), [(3, True), (4, False)])
def test_a_call_has_room_for_so_many(callees, fits):
    people = [f"user{n}" for n in range(callees)]
    if fits:
        assert len(Story(*people).call.legs) == 4
    else:
        assert refused(*people) == "capacity_exceeded"


def test_notify_only_tells_and_does_not_ring_or_engage():
    story = Story("ben", policy=Policy(notify_only=True), engaged={"ben": BUSY_ELSEWHERE})
    assert story.ends == ("dialing", None)
    assert story.rings("ben") == {}
    assert engaged_slots(story.call) == {"ann": 0}
    assert story.due == 60
    assert story.do(Answer, "ben", 3, engaged={"ben": BUSY_ELSEWHERE}) == "initiator_busy"
    assert story.state("ben") == "invited"
    assert story.do(Answer, "ben", 4) is None
    assert engaged_slots(story.call) == {"ann": 0, "ben": 0}


def test_notify_only_that_nobody_answers_is_missed():
    story = Story("ben", policy=Policy(notify_only=True))
    story.settle(60)
    assert story.ends == ("ended", "no_answer")
    assert story.state("ben") == "missed"


def test_42_who_dials_the_same_peer_again_from_a_lost_place_replaces_the_old_call():
    live = frozenset({"ann-phone"})
    story = talking("ben")
    assert not replaces(story.call, dialing("ben"), live)
    assert replaces(story.call, dialing("ben"), frozenset({"ann-web"}))
    story.do(DeviceDisconnected, "ann", 10)
    assert replaces(story.call, dialing("ben"), live)
    assert not replaces(story.call, dialing("cem"), live)
    assert not replaces(story.call, dialing("ben", "cem"), live)
    assert not replaces(story.call, dialing("ann", caller="ben"), frozenset({"ben-phone"}))
    assert replaces(story.call, dialing("ann", caller="ben"), frozenset())


def test_42_the_callee_of_the_old_call_may_be_the_one_who_dials_again():
    story = talking("ben")
    story.do(DeviceDisconnected, "ben", 10)
    assert replaces(story.call, dialing("ann", caller="ben"), frozenset({"ben-phone"}))


def test_42_a_caller_who_was_lost_while_it_rang_replaces_the_ring():
    story = Story("ben")
    assert not replaces(story.call, dialing("ben"), frozenset())
    story.do(DeviceDisconnected, "ann", 5)
    assert replaces(story.call, dialing("ben"), frozenset())


def test_42_who_was_only_hunted_is_no_pair():
    story = Story("ben", "cem", policy=Policy(hunt=True))
    story.do(Answer, "ben", 2)
    story.do(DeviceDisconnected, "ann", 3)
    assert replaces(story.call, dialing("ben"), frozenset())
    assert not replaces(story.call, dialing("cem"), frozenset())


def test_42_what_is_no_pair_or_over_is_never_replaced():
    group = talking("ben", "cem")
    assert not replaces(group.call, dialing("ben"), frozenset())
    ringing = ringing_from_ben()
    assert not replaces(ringing.call, dialing("ben"), frozenset())
    assert not replaces(ringing.call, dialing("ben", caller="zoe"), frozenset())
    ringing.do(Decline, "ann", 2)
    assert not replaces(ringing.call, dialing("ben"), frozenset())


def test_17_a_callee_without_any_device_is_dialled_until_the_deadline():
    story = Story(nobody_home("ben"))
    assert story.ends == ("dialing", None)
    assert story.due == 60
    story.settle(60)
    assert story.ends == ("ended", "unreachable")
    assert story.state("ben") == "unreachable"
    assert "call.missed ben" in story.heard


def test_17_an_alert_that_nobody_took_is_unreachable_one_that_was_taken_is_no_answer():
    pushed = Story(person("ben", Device("ben-phone", provider=Provider.FCM)))
    assert pushed.rings("ben") == {"ben-phone": "queued"}
    pushed.settle(60)
    assert pushed.ends == ("ended", "unreachable")
    assert pushed.rings("ben") == {"ben-phone": "timed_out"}
    sent = Story("ben")
    sent.settle(60)
    assert sent.ends == ("ended", "no_answer")
    assert sent.state("ben") == "missed"


def test_17_a_device_nobody_knew_that_acknowledged_was_reached():
    story = Story(nobody_home("ben"))
    story.do(Ack, "ben", 5, device="ben-web")
    assert story.state("ben") == "ringing"
    story.settle(60)
    assert story.ends == ("ended", "no_answer")


def test_who_creates_the_call_from_a_backend_sits_on_no_device_yet():
    story = Story("ben", device=None)
    assert story.leg("ann").device_id is None
    assert story.do(Answer, "ann", 1, device="ann-web") is None
    assert story.leg("ann").device_id == "ann-web"
    assert story.heard == []
    assert story.changed
    assert story.do(Answer, "ann", 2, device="ann-tablet") == "already_answered"
    story.do(Answer, "ben", 3)
    assert story.do(MediaConnected, "ann", 4, device="ann-web") is None


def test_people_are_told_with_their_names_and_pictures():
    story = Story(Person("ben", name="Ben B."), initiator=person("ann", avatar_url="a.png"))
    assert story.leg("ben").name == "Ben B."
    assert (story.leg("ann").name, story.leg("ann").avatar_url) == ("Ann", "a.png")
