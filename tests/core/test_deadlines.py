"""Deadlines as data: what is due when, on the exact moment, in which order."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.calls import SERVER, Policy
from service.core.commands import (
    Answer,
    Cancel,
    DeviceDisconnected,
    HangUp,
    Join,
    MediaConnected,
    MediaLost,
    Settle,
)
from service.core.deadlines import Timer, deadline, dues
from service.core.machine import decide
from tests.core.story import API, NOON, Story, at, talking

INSTANT = timedelta(microseconds=1)


def rings():
    return Story("ben")


def caller_gone():
    story = Story("ben")
    story.do(DeviceDisconnected, "ann", 1)
    return story


def connects():
    story = Story("ben")
    story.do(Answer, "ben", 2)
    return story


def lost():
    story = talking("ben")
    story.do(MediaLost, "ben", 10)
    return story


def alone():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    story.do(HangUp, "cem", 10)
    return story


def warns():
    return talking("ben", policy=Policy(max_duration_s=60))


def too_long():
    story = warns()
    story.settle(33)
    return story


TIMERS = [
    (rings, 60, Timer.RING, "ben", "no_answer"),
    (caller_gone, 31, Timer.CALLER_LEASE, "ann", "caller_lost"),
    (connects, 32, Timer.CONNECT, "ann", "connect_timeout"),
    (lost, 40, Timer.RECONNECT, "ben", "connection_lost"),
    (alone, 20, Timer.ALONE, "", "last_left"),
    (warns, 33, Timer.MAX_DURATION_WARNING, "", None),
    (too_long, 63, Timer.MAX_DURATION, "", "max_duration"),
]


@pytest.mark.parametrize(("begin", "due", "timer", "user", "end"), TIMERS)
def test_each_timer_is_due_at_its_moment(begin, due, timer, user, end):
    story = begin()
    assert story.due == due
    assert min(dues(story.call)) == (at(due), timer, user)


@pytest.mark.parametrize(("begin", "due", "timer", "user", "end"), TIMERS)
def test_an_instant_before_nothing_happens_on_the_moment_it_does(begin, due, timer, user, end):
    story = begin()
    early = decide(story.call, Settle(API), {}, at(due) - INSTANT)
    assert not early.changed
    exact = decide(story.call, Settle(API), {}, at(due))
    assert exact.changed
    assert {event.cause.name for event in exact.events} == {timer.value}
    assert {event.cause.kind for event in exact.events} == {"timer"}
    assert {event.cause.by for event in exact.events} == {SERVER}
    assert exact.call.end_reason == end
    assert {event.late_by_ms for event in exact.events} == {0}


@pytest.mark.parametrize(("begin", "due", "timer", "user", "end"), TIMERS)
@pytest.mark.parametrize("late", [0.001, 1, 86_400])
def test_late_it_happens_as_of_its_moment(begin, due, timer, user, end, late):
    story = begin()
    decision = decide(story.call, Settle(API), {}, at(due + late))
    first = [event for event in decision.events if event.cause.name == timer.value]
    assert {event.occurred_at for event in first} == {at(due)}
    assert {event.late_by_ms for event in first} == {round(late * 1000)}
    assert decision.call.touched_at == at(due + late)
    if end:
        assert decision.call.ended_at == at(due)


@pytest.mark.parametrize(
    ("field", "begin", "user", "due"),
    [
        ("ring_timeout_s", rings, None, 7),
        ("caller_lease_s", caller_gone, None, 8),
        ("connect_timeout_s", connects, None, 9),
        ("reconnect_grace_s", lost, None, 17),
        ("alone_grace_s", alone, None, 17),
    ],
)
def test_the_seconds_are_the_policys(field, begin, user, due):
    story = begin()
    if field == "ring_timeout_s":
        assert Story("ben", policy=Policy(ring_timeout_s=7)).due == 7
        return
    story.call.policy = Policy(**{field: 7})
    assert story.due == due


def test_the_caller_waits_for_media_from_the_answer_on_not_from_the_dial():
    story = Story("ben", "cem")
    story.do(Answer, "ben", 20)
    story.do(MediaConnected, "ben", 21)
    assert sorted(dues(story.call)) == [(at(50), Timer.CONNECT, "ann"), (at(60), Timer.RING, "cem")]
    story.do(Answer, "cem", 40)
    assert sorted(dues(story.call)) == [(at(50), Timer.CONNECT, "ann"), (at(70), Timer.CONNECT, "cem")]


def test_nothing_is_due_after_the_end():
    story = Story("ben")
    story.do(Cancel, "ann", 1)
    assert list(dues(story.call)) == []
    assert deadline(story.call) is None


def test_nothing_is_due_while_two_are_held_by_their_sockets():
    assert deadline(talking("ben").call) is None


def test_a_chain_of_overdue_timers_settles_in_order_each_as_of_its_moment():
    story = talking("ben", "cem", policy=Policy(max_duration_s=200))
    story.invite(10, "dan")
    story.do(MediaLost, "ben", 12)
    story.do(DeviceDisconnected, "cem", 20)
    story.settle(9_999)
    assert [(event.cause.name, event.occurred_at, event.type.value) for event in story.news] == [
        ("reconnect_grace", at(42), "participant.left"),
        ("reconnect_grace", at(50), "participant.left"),
        ("ring_timeout", at(70), "participant.missed"),
        ("ring_timeout", at(70), "call.missed"),
        ("alone_grace", at(80), "participant.left"),
        ("alone_grace", at(80), "call.ended"),
    ]
    assert story.ends == ("ended", "last_left")
    assert story.call.talk_ms == 47_000


def test_the_command_that_came_late_is_not_late_itself():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    story.do(HangUp, "ben", 100)
    assert [(event.cause.kind, event.late_by_ms) for event in story.news] == [
        ("timer", 30_000),
        ("timer", 30_000),
        ("command", 0),
    ]
    assert story.news[-1].occurred_at == at(100)


def test_a_return_on_the_moment_is_too_late_and_an_instant_before_is_not():
    story = lost()
    assert story.do(MediaConnected, "ben", 40) == "call_ended"
    other = lost()
    assert other.do(MediaConnected, "ben", 39.999999) is None
    assert other.state("ben") == "connected"


def test_a_return_ends_the_loneliness_up_to_its_last_instant():
    story = alone()
    assert story.do(Join, "ben", 19.999999) is None
    other = alone()
    assert other.do(Join, "ben", 20) == "call_ended"


def test_the_warning_comes_once():
    story = too_long()
    assert story.call.warned
    story.settle(34)
    assert not story.changed


def test_lateness_is_told_in_whole_milliseconds():
    story = rings()
    story.settle(60.0126)
    assert {event.late_by_ms for event in story.news} == {13}


@given(st.floats(0, 300, allow_nan=False), st.floats(0, 300, allow_nan=False))
def test_however_late_the_touch_the_outcome_is_the_same(first, second):
    """Scenario 16: settling in one go or in steps tells the same story."""
    steps, once = caller_gone(), caller_gone()
    for when in sorted((first, second, 1000)):
        steps.settle(when)
    once.settle(1000)
    assert [(e.type, e.occurred_at) for e in steps.told] == [(e.type, e.occurred_at) for e in once.told]
    assert steps.call.ended_at == once.call.ended_at == NOON + timedelta(seconds=31)
