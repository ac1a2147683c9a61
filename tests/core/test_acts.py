"""What each magic name does next: the whole script, played act by act over the machine."""

import pytest

from service.core.acts import next_act
from service.core.calls import Actor
from service.core.commands import Answer, Cancel, Device, HangUp, MediaConnected, MediaLost, Silence
from service.core.robots import TEST_DEVICE
from service.core.vocabulary import ActorType, Topology
from tests.core.story import Story, at, nobody_home, person


def robot(name, *devices):
    return person(name, Device(TEST_DEVICE, connected=True), *devices)


def user(name):
    return Actor(ActorType.USER, name)


def seconds(act):
    return (act.at - at(0)).total_seconds()


def play(story, *names, until=3_600):
    """Let these robots act until nothing is left to do; (second, who, what) of each act."""
    done = []
    for _ in range(50):
        acts = [(act.at, name, act) for name in names if (act := next_act(story.call, name)) and seconds(act) <= until]
        if not acts:
            return done
        _, name, act = min(acts, key=lambda each: each[:2])
        command = act.command
        assert (command.actor, command.user_id, command.device_id) == (user(name), name, TEST_DEVICE)
        assert story.command(act.command, seconds(act)) is None
        done.append((seconds(act), name, type(act.command).__name__))
    raise AssertionError(f"{names} never come to an end: {done}")


def told(script, *, callers=("ann",)):
    """What a robot of that name does when ann calls it, and how the call stands then."""
    story = Story(robot(script), caller=callers[0])
    return play(story, script), story


def test_it_answers_at_once():
    done, story = told("test:answer")
    assert [(second, what) for second, _, what in done] == [(0, "Ack"), (0, "Answer"), (0, "MediaConnected")]
    assert story.state("test:answer") == "connected"
    assert story.call.state == "connecting"
    assert story.do(MediaConnected, "ann", 4, peer="test:answer") is None
    assert story.ends == ("active", None)
    assert next_act(story.call, "test:answer") is None


def test_it_answers_later():
    done, _ = told("test:answer@3s")
    assert [(second, what) for second, _, what in done] == [(0, "Ack"), (3, "Answer"), (3, "MediaConnected")]


def test_it_hangs_up_after_it_answered():
    done, story = told("test:answer@1s:hangup@5s")
    assert [(s, what) for s, _, what in done] == [(0, "Ack"), (1, "Answer"), (1, "MediaConnected"), (6, "HangUp")]
    assert story.ends == ("ended", "hangup")
    assert story.call.ended_by.id == "test:answer@1s:hangup@5s"


@pytest.mark.parametrize(
    ("name", "second", "end", "reason"),
    [
        ("test:decline", 0, "declined", "none"),
        ("test:decline@2s", 2, "declined", "none"),
        ("test:decline:do_not_disturb", 0, "declined", "do_not_disturb"),
        ("test:decline@500ms:error", 0.5, "declined", "error"),
        ("test:decline:no_answer", 0, "no_answer", "no_answer"),
        ("test:decline:not_supported", 0, "not_supported", "not_supported"),
        ("test:busy@0s", 0, "busy", "busy"),
        ("test:busy@2s", 2, "busy", "busy"),
    ],
)
def test_it_declines(name, second, end, reason):
    done, story = told(name)
    assert [(s, what) for s, _, what in done] == [(0, "Ack"), (second, "Decline")]
    assert story.ends == ("ended", end)
    assert story.leg(name).decline_reason == reason


def test_the_silent_one_rings_to_the_end():
    done, story = told("test:silent")
    assert [what for _, _, what in done] == ["Ack"]
    assert story.state("test:silent") == "ringing"
    story.settle(60)
    assert story.ends == ("ended", "no_answer")
    assert next_act(story.call, "test:silent") is None


def test_the_offline_one_and_a_name_that_says_nothing_have_no_device():
    for name in ("test:offline", "test:juggle"):
        story = Story(nobody_home(name))
        assert play(story, name) == []
        story.settle(60)
        assert story.ends == ("ended", "unreachable")


def test_ordinary_users_and_strangers_do_nothing():
    story = Story("ben")
    assert next_act(story.call, "ann") is None
    assert next_act(story.call, "ben") is None
    assert next_act(story.call, "test:answer") is None


def test_a_device_of_that_name_does_not_make_a_robot_of_an_ordinary_user():
    story = Story(robot("ben"))
    assert next_act(story.call, "ben") is None


def test_the_delay_counts_from_its_own_ring():
    story = Story(robot("test:answer@10s"))
    ack = next_act(story.call, "test:answer@10s")
    story.command(ack.command, 2)
    assert seconds(next_act(story.call, "test:answer@10s")) == 12


def test_a_silenced_ring_goes_on():
    story = Story(robot("test:answer@10s"))
    story.do(Silence, "test:answer@10s", 1, device=TEST_DEVICE)
    assert [what for _, _, what in play(story, "test:answer@10s")] == ["Ack", "Answer", "MediaConnected"]


def test_it_keeps_its_hands_off_when_another_device_of_the_user_took_the_call():
    name = "test:answer@5s:hangup@1s"
    story = Story(robot(name, Device("phone", connected=True)))
    play(story, name, until=1)
    story.do(Answer, name, 2, device="phone")
    assert next_act(story.call, name) is None


def test_one_that_is_busy_on_its_device_leaves_the_others_ringing():
    story = Story(robot("test:busy@1s", Device("phone", connected=True)))
    assert [what for _, _, what in play(story, "test:busy@1s")] == ["Ack", "Decline"]
    assert story.rings("test:busy@1s") == {TEST_DEVICE: "declined_here", "phone": "sent"}


def test_after_the_end_there_is_nothing_to_do():
    story = Story(robot("test:answer@5s"))
    play(story, "test:answer@5s", until=1)
    story.do(Cancel, "ann", 2)
    assert next_act(story.call, "test:answer@5s") is None


def test_a_robot_that_left_a_group_comes_back_when_it_is_invited_again():
    name = "test:answer@1s:hangup@2s"
    story = Story(robot(name), robot("test:answer"), "ben")
    play(story, name, "test:answer")
    assert story.state(name) == "left"
    assert next_act(story.call, name) is None
    story.invite(10, robot(name))
    assert [(s, w) for s, who, w in play(story, name) if w != "MediaConnected"] == [
        (10, "Ack"),
        (11, "Answer"),
        (13, "HangUp"),
    ]


def test_it_reports_media_with_everybody_who_is_in_and_with_those_who_come():
    story = Story(robot("test:answer"), robot("test:answer@2s"), "ben")
    play(story, "test:answer", "test:answer@2s")
    assert set(story.leg("test:answer").peers) == {"ann", "test:answer@2s"}
    story.do(Answer, "ben", 7)
    act = next_act(story.call, "test:answer")
    assert (seconds(act), act.command.peer) == (7, "ben")
    play(story, "test:answer", "test:answer@2s")
    assert set(story.leg("test:answer").peers) == {"ann", "test:answer@2s", "ben"}
    assert story.call.state == "active"
    story.do(HangUp, "ben", 9)
    assert next_act(story.call, "test:answer") is None


def test_a_robot_may_be_the_caller():
    name = "test:answer:hangup@4s"
    story = Story("ben", caller=name, device=None)
    assert next_act(story.call, name) is None
    story.do(Answer, "ben", 5)
    assert [(s, what) for s, _, what in play(story, name)] == [(5, "MediaConnected"), (9, "HangUp")]
    assert story.leg(name).device_id == TEST_DEVICE


def test_a_caller_with_another_device_acts_for_itself():
    story = Story("ben", caller="test:answer", device="phone")
    story.do(Answer, "ben", 5)
    assert next_act(story.call, "test:answer") is None


@pytest.mark.parametrize("name", ["test:silent", "test:busy", "test:decline", "test:offline", "test:nobody"])
def test_a_caller_whose_name_does_not_say_answer_does_nothing(name):
    story = Story("ben", caller=name, device=None)
    story.do(Answer, "ben", 5)
    assert next_act(story.call, name) is None


def test_two_robots_have_a_whole_call_by_themselves():
    caller, callee = "test:answer", "test:answer@1s:hangup@5s"
    story = Story(robot(callee), caller=caller, device=None)
    done = play(story, caller, callee)
    assert [what for _, _, what in done] == ["Ack", "Answer", "MediaConnected", "MediaConnected", "HangUp"]
    assert story.ends == ("ended", "hangup")
    assert story.call.talk_ms == 5_000


def test_they_hang_up_when_the_last_person_has_left():
    names = ("test:answer", "test:answer@1s")
    story = Story(*map(robot, names), caller="zoe")
    play(story, *names)
    for name in names:
        story.do(MediaConnected, "zoe", 2, peer=name)
    assert next_act(story.call, names[0]) is None
    story.do(HangUp, "zoe", 5)
    assert play(story, *names) == [(5, "test:answer", "HangUp"), (5, "test:answer@1s", "HangUp")]
    assert story.ends == ("ended", "last_left")


def test_one_that_answers_after_the_last_person_left_leaves_at_once():
    names = ("test:answer", "test:answer@4s")
    story = Story(*map(robot, names), caller="zoe")
    play(story, *names, until=3)
    story.do(HangUp, "zoe", 3)
    assert [(s, who, what) for s, who, what in play(story, *names) if what != "MediaConnected"] == [
        (3, "test:answer", "HangUp"),
        (4, "test:answer@4s", "Answer"),
        (4, "test:answer@4s", "HangUp"),
    ]
    assert story.ends == ("ended", "last_left")


def test_they_stay_while_somebody_is_still_asked():
    story = Story(robot("test:answer"), robot("test:answer@1s"), "ben", caller="zoe")
    play(story, "test:answer", "test:answer@1s")
    story.do(HangUp, "zoe", 5)
    assert next_act(story.call, "test:answer") is None
    story.settle(60)
    assert play(story, "test:answer", "test:answer@1s")[0] == (60, "test:answer", "HangUp")
    assert story.ends == ("ended", "last_left")


@pytest.mark.parametrize("name", ["test:silent", "test:nobody"])
def test_a_caller_of_another_kind_leaves_with_the_last_person_too(name):
    story = Story(robot("test:answer"), "ben", caller=name, device=None)
    play(story, name, "test:answer")
    story.do(Answer, "ben", 5)
    play(story, name, "test:answer")
    story.do(HangUp, "ben", 7)
    assert play(story, name, "test:answer") == [(7, "test:answer", "HangUp"), (7, name, "HangUp")]
    assert story.ends == ("ended", "last_left")


def test_a_user_who_took_over_with_a_device_of_their_own_is_a_person():
    name = "test:answer@5s"
    story = Story(robot(name, Device("phone", connected=True)), robot("test:answer"), caller="zoe")
    play(story, name, "test:answer", until=1)
    story.do(Answer, name, 2, device="phone")
    story.do(HangUp, "zoe", 3)
    play(story, name, "test:answer")
    assert story.state("test:answer") == "connected"
    story.do(HangUp, name, 9, device="phone")
    assert play(story, name, "test:answer") == [(9, "test:answer", "HangUp")]


def test_a_call_between_robots_ends_some_time_after_the_last_was_played():
    caller, callees = "test:answer", ("test:answer@1s", "test:answer@3s")
    story = Story(*map(robot, callees), caller=caller, device=None)
    done = [(s, what) for s, _, what in play(story, caller, *callees) if what != "MediaConnected"]
    assert done == [*[(0, "Ack")] * 2, (1, "Answer"), (3, "Answer"), *[(13, "HangUp")] * 3]
    assert story.ends == ("ended", "last_left")


def test_robots_wait_for_one_that_is_going_to_hang_up():
    caller, callees = "test:answer", ("test:answer@1s:hangup@30s", "test:answer@2s")
    story = Story(*map(robot, callees), caller=caller, device=None)
    done = [(s, who) for s, who, what in play(story, caller, *callees) if what == "HangUp"]
    assert done == [(31, callees[0]), (41, caller), (41, callees[1])]
    assert story.ends == ("ended", "last_left")


def test_in_a_routed_call_a_robot_says_itself_that_it_is_connected():
    story = Story(robot("test:answer"), topology=Topology.ROUTED)
    assert [what for _, _, what in play(story, "test:answer")] == ["Ack", "Answer", "MediaConnected"]
    assert story.state("test:answer") == "connected"


def test_media_that_the_human_lost_is_not_the_robots_affair():
    story = Story(robot("test:answer"))
    play(story, "test:answer")
    story.do(MediaConnected, "ann", 2, peer="test:answer")
    story.do(MediaLost, "ann", 3, peer="test:answer")
    assert next_act(story.call, "test:answer") is None
