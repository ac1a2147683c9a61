from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.calls import Policy
from service.core.commands import Ack, Answer, Cancel, Decline, Device, DeviceDisconnected, HangUp, Join, MediaConnected
from service.core.presence import (
    Activity,
    Companion,
    DeviceState,
    External,
    Facts,
    KnownDevice,
    Reachable,
    State,
    differs,
    presence,
)
from service.core.vocabulary import Platform, Provider
from tests.core.story import CALL_ID, Story, at, nobody_home, person, phone, talking, two_devices

NOW = at(100)


def device(name, *, online=None, push=False, seen=None, rings=True):
    return KnownDevice(
        name,
        Platform.IOS,
        push=push,
        connected_since=None if online is None else at(online),
        last_seen_at=None if seen is None else at(seen),
        rings=rings,
        app_version="1.2",
    )


def of(user, *calls, online=0, **facts):
    """Presence of a user whose only device is a phone on a socket since `online` (None: no socket)."""
    given = {"devices": (device(phone(user), online=online),), **facts}
    return presence(Facts(user, calls=tuple(calls), **given), NOW)


def looks(told):
    return told.state.value, told.activity.value


def test_nobody_knows_anything():
    told = presence(Facts("ben"), NOW)
    assert looks(told) == ("offline", "idle")
    assert (told.reachable, told.devices, told.busy_with) == (Reachable.NONE, (), ())
    assert (told.since, told.last_seen_at, told.expires_at) == (None, None, None)
    assert (told.source, told.seq, told.second_ring) == ("service", 0, False)
    assert (told.do_not_disturb, told.away) == (False, False)


def test_a_socket_makes_online():
    told = of("ben", online=7, seq=4)
    assert looks(told) == ("online", "idle")
    assert (told.user_id, told.seq, told.source, told.since) == ("ben", 4, "service", at(7))
    assert told.reachable is Reachable.CONNECTED


def test_online_since_the_first_of_the_sockets_or_the_end_of_the_last_call():
    two = (device("a", online=9), device("b", online=5), device("c"))
    assert presence(Facts("ben", devices=two), NOW).since == at(5)
    assert presence(Facts("ben", devices=two, idle_since=at(8)), NOW).since == at(8)
    assert presence(Facts("ben", devices=two, idle_since=at(2)), NOW).since == at(5)


def test_offline_since_it_was_last_seen():
    told = presence(Facts("ben", devices=(device("a", seen=3), device("b", seen=9), device("c"))), NOW)
    assert looks(told) == ("offline", "idle")
    assert (told.since, told.last_seen_at) == (at(9), at(9))
    assert [(d.state.value, d.last_seen_at) for d in told.devices] == [
        ("offline", at(3)),
        ("offline", at(9)),
        ("offline", None),
    ]
    assert presence(Facts("ben", last_seen_at=at(4)), NOW).last_seen_at == at(4)
    assert presence(Facts("ben", devices=(device("a", seen=3),), last_seen_at=at(4)), NOW).since == at(4)


@pytest.mark.parametrize(
    ("devices", "fallback", "reachable"),
    [
        ((device("a", online=1), device("b", push=True)), True, Reachable.CONNECTED),
        ((device("a"), device("b", push=True)), True, Reachable.PUSH),
        ((device("a"),), True, Reachable.FALLBACK),
        ((device("a", online=1, rings=False), device("b", push=True)), True, Reachable.PUSH),
        ((device("a", online=1, rings=False),), False, Reachable.NONE),
        ((device("a"),), False, Reachable.NONE),
    ],
)
def test_reachable_is_the_best_way(devices, fallback, reachable):
    assert presence(Facts("ben", devices=devices, fallback=fallback), NOW).reachable is reachable


def test_the_caller_is_busy_from_the_moment_of_dialling():
    told = of("ann", Story("ben").call)
    assert looks(told) == ("busy", "dialing")
    assert told.since == at(0)
    assert told.busy_with == (Companion("ben", CALL_ID, "Ben"),)
    assert told.devices[0].state is DeviceState.BUSY
    assert told.devices[0].call_id == CALL_ID
    assert not told.second_ring


def test_whose_device_rings_is_not_busy_unless_the_app_says_so():
    story = Story("ben")
    story.do(Ack, "ben", 1)
    told = of("ben", story.call)
    assert looks(told) == ("online", "ringing")
    assert (told.busy_with, told.since) == ((), at(0))
    assert told.devices[0].state is DeviceState.RINGING
    assert told.devices[0].call_id == CALL_ID
    assert not told.second_ring
    facts = Facts("ben", calls=(story.call,), devices=(device(phone("ben"), online=0),))
    told = presence(facts, NOW, ringing_is_busy=True)
    assert looks(told) == ("busy", "ringing")
    assert told.busy_with == (Companion("ann", CALL_ID, "Ann"),)


def test_ringing_begins_when_an_alert_was_taken():
    on_socket, nowhere = Story("ben"), Story("ben")
    by_push = Story(person("ben", Device("ben-phone", provider=Provider.FCM)))
    assert looks(of("ben", on_socket.call)) == ("online", "ringing")
    assert of("ben", on_socket.call).since == at(0)
    told = of("ben", by_push.call)
    assert looks(told) == ("online", "idle")
    assert told.devices[0].state is DeviceState.ONLINE
    nowhere = Story(nobody_home("ben"))
    assert looks(of("ben", nowhere.call, online=None)) == ("offline", "idle")


def test_an_acknowledgement_does_not_move_the_moment_since_when_it_rings():
    """It is told by no presence.changed, so it may change nothing."""
    story = Story(two_devices("ben"))
    before = of("ben", story.call)
    assert (looks(before), before.since) == (("online", "ringing"), at(0))
    for second, name in ((3, "ben-phone"), (5, "ben-tablet")):
        story.do(Ack, "ben", second, device=name)
        assert of("ben", story.call).since == at(0)


def test_the_next_attempt_rings_since_its_own_alert():
    story = Story("ben", "cem")
    story.do(Decline, "ben", 2)
    story.do(Answer, "cem", 3)
    story.invite(9, "ben")
    assert of("ben", story.call).since == at(9)


def test_who_is_connected_was_seen_when_it_came_at_least():
    told = of("ben", online=7)
    assert (told.last_seen_at, told.devices[0].last_seen_at) == (at(7), at(7))
    told = presence(Facts("ben", devices=(device("a", online=7, seen=3), device("b", online=5, seen=8))), NOW)
    assert [seen.last_seen_at for seen in told.devices] == [at(7), at(8)]
    assert told.last_seen_at == at(8)


def test_a_phone_that_rings_by_push_rings_since_it_said_so():
    story = Story(person("ben", Device("ben-phone", provider=Provider.FCM)))
    story.do(Ack, "ben", 4)
    told = of("ben", story.call, online=None, last_seen_at=at(2))
    assert (looks(told), told.since) == (("offline", "ringing"), at(4))


def test_answered_is_connecting_until_media_is_up():
    story = Story("ben")
    story.do(Answer, "ben", 5)
    assert looks(of("ben", story.call)) == looks(of("ann", story.call)) == ("busy", "connecting")
    assert of("ann", story.call).since == at(5)
    story.do(MediaConnected, "ben", 6)
    assert looks(of("ben", story.call)) == ("busy", "connecting")
    story.do(MediaConnected, "ann", 8)
    assert looks(of("ben", story.call)) == looks(of("ann", story.call)) == ("busy", "in_call")
    assert of("ben", story.call).since == at(8)


def test_who_comes_later_is_in_conference_since_then():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    story.do(Answer, "dan", 12)
    assert looks(of("ben", story.call)) == ("busy", "in_conference")
    assert looks(of("dan", story.call)) == ("busy", "connecting")
    assert of("dan", story.call).since == at(12)
    story.do(MediaConnected, "dan", 14)
    assert of("ben", story.call).since == at(3)
    assert of("dan", story.call).since == at(14)


def test_busy_with_everybody_in_the_call_and_not_with_those_who_ring():
    story = talking("ben", "cem")
    story.invite(10, "dan")
    assert [c.user_id for c in of("ben", story.call).busy_with] == ["ann", "cem"]
    story.do(HangUp, "cem", 11)
    assert [c.user_id for c in of("ben", story.call).busy_with] == ["ann"]


def test_presence_stays_busy_during_the_grace():
    """Scenario 39."""
    story = talking("ben")
    story.do(DeviceDisconnected, "ben", 10)
    assert looks(of("ben", story.call, online=None)) == ("busy", "in_call")


def test_a_call_that_moves_to_another_device_is_no_news_but_for_the_device():
    """Scenario 43: no flicker. The talk goes on since when it began, also once the new device has its media."""
    story = talking("ben")
    devices = (device("ben-phone", online=0), device("ben-pc", online=0))
    before = of("ben", story.call, devices=devices)
    story.do(Join, "ben", 20, device="ben-pc")
    assert story.state("ben") == "answered"
    between = of("ben", story.call, devices=devices)
    story.do(MediaConnected, "ben", 22, device="ben-pc")
    after = of("ben", story.call, devices=devices)
    assert looks(before) == looks(between) == looks(after) == ("busy", "in_call")
    assert before.since == between.since == after.since
    assert [each.state.value for each in before.devices] == ["busy", "online"]
    assert [each.state.value for each in between.devices] == ["online", "busy"]
    assert differs(before, between)
    assert not differs(between, after)
    assert not differs(of("ann", story.call), of("ann", talking("ben").call))


def test_who_comes_back_after_leaving_connects_anew():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 10)
    story.do(Join, "ben", 12)
    assert looks(of("ben", story.call)) == ("busy", "connecting")


def test_nobody_is_busy_by_a_call_that_is_over():
    story = Story("ben")
    story.do(Cancel, "ann", 1)
    assert looks(of("ann", story.call)) == looks(of("ben", story.call)) == ("online", "idle")


def test_who_left_or_is_a_stranger_is_not_busy():
    story = talking("ben", "cem")
    story.do(HangUp, "ben", 5)
    assert looks(of("ben", story.call)) == ("online", "idle")
    assert of("ben", story.call).devices[0].state is DeviceState.ONLINE
    assert looks(of("zoe", story.call)) == ("online", "idle")


def second_call(caller):
    other = Story("ben", caller=caller, call_id="018f5e10-0000-7000-8000-000000000002")
    other.do(Ack, "ben", 4)
    return other.call


@pytest.mark.parametrize("turned", [False, True])
def test_a_second_ring_leaves_the_first_call_in_front(turned):
    calls = [talking("ben").call, second_call("cem")]
    told = of("ben", *(reversed(calls) if turned else calls))
    assert looks(told) == ("busy", "in_call")
    assert told.second_ring
    assert [c.user_id for c in told.busy_with] == (["cem", "ann"] if turned else ["ann", "cem"])
    assert told.devices[0].state is DeviceState.BUSY
    assert told.devices[0].call_id == CALL_ID


def test_each_device_has_its_own_state():
    story = Story(two_devices("ben"))
    story.do(Ack, "ben", 1, device="ben-tablet")
    devices = (device("ben-phone", online=0), device("ben-tablet", push=True), device("ben-web", online=0))
    told = presence(Facts("ben", calls=(story.call,), devices=devices), NOW)
    assert [(d.device_id, d.state.value, d.call_id) for d in told.devices] == [
        ("ben-phone", "ringing", CALL_ID),
        ("ben-tablet", "ringing", CALL_ID),
        ("ben-web", "online", None),
    ]
    story.do(Answer, "ben", 2, device="ben-tablet")
    told = presence(Facts("ben", calls=(story.call,), devices=devices), NOW)
    assert [d.state.value for d in told.devices] == ["online", "busy", "online"]
    assert [d.call_id for d in told.devices] == [None, CALL_ID, None]
    assert {(d.platform, d.app_version) for d in told.devices} == {(Platform.IOS, "1.2")}


def external(**said):
    return External(**{"source": "desk", "set_at": at(50), "expires_at": at(200), **said})


def test_busy_from_outside_goes_before_the_service():
    said = external(state=State.BUSY, busy_with=(Companion("+44 20 7946 0000"),))
    told = of("ben", externals=(said,))
    assert looks(told) == ("busy", "in_call")
    assert (told.source, told.since, told.expires_at) == ("external:desk", at(50), at(200))
    assert told.busy_with == (Companion("+44 20 7946 0000"),)
    told = of("ben", talking("ben", "cem").call, externals=(said,))
    assert looks(told) == ("busy", "in_call")
    assert told.source == "external:desk"
    assert [c.user_id for c in told.busy_with] == ["ann", "cem", "+44 20 7946 0000"]


def test_what_is_said_outside_expires():
    said = external(state=State.BUSY, do_not_disturb=True, away=True)
    facts = Facts("ben", externals=(said,))
    assert presence(facts, at(199.999)).state is State.BUSY
    after = presence(facts, at(200))
    assert (after.state, after.do_not_disturb, after.away, after.expires_at) == (State.OFFLINE, False, False, None)
    for_ever = Facts("ben", externals=(replace(said, expires_at=None),))
    assert presence(for_ever, at(10_000)).state is State.BUSY
    assert presence(for_ever, at(10_000)).expires_at is None


def test_a_calendar_may_say_busy_without_a_call():
    told = of("ben", externals=(external(state=State.BUSY, activity=Activity.IDLE),))
    assert looks(told) == ("busy", "idle")


def test_outside_says_online_where_the_service_knows_nothing():
    said = external(state=State.ONLINE, busy_with=(Companion("x"),))
    told = of("ben", online=None, externals=(said,))
    assert (looks(told), told.source, told.busy_with) == (("online", "idle"), "external:desk", ())
    told = of("ben", externals=(said,))
    assert (looks(told), told.source, told.expires_at) == (("online", "idle"), "service", None)


def test_a_desk_phone_that_rings_is_seen():
    said = external(state=State.ONLINE, activity=Activity.RINGING)
    assert looks(of("ben", externals=(said,))) == ("online", "ringing")
    assert of("ben", externals=(said,)).source == "external:desk"
    assert of("ben", Story("ben").call, externals=(said,)).source == "service"


def test_outside_cannot_make_offline_who_is_here():
    said = external(state=State.OFFLINE)
    assert looks(of("ben", externals=(said,))) == ("online", "idle")
    assert of("ben", online=None, externals=(said,)).source == "service"
    assert looks(of("ann", Story("ben").call, online=None, externals=(said,))) == ("busy", "dialing")


def test_of_two_sources_the_busiest_and_then_the_newest_is_believed():
    old = external(source="old", set_at=at(10), state=State.BUSY)
    new = external(source="new", set_at=at(20), state=State.BUSY)
    busier = external(source="busier", set_at=at(5), state=State.BUSY, activity=Activity.IN_CONFERENCE)
    assert of("ben", externals=(old, new)).source == "external:new"
    assert of("ben", externals=(new, old)).source == "external:new"
    assert of("ben", externals=(new, busier)).source == "external:busier"


@pytest.mark.parametrize("flag", ["do_not_disturb", "away"])
def test_flags_come_from_the_user_or_from_outside(flag):
    told = of("ben", **{flag: True})
    assert looks(told) == ("online", "idle")
    assert getattr(told, flag)
    assert told.expires_at is None
    said = external(source="calendar", **{flag: True})
    told = of("ben", externals=(said, external(state=State.BUSY, expires_at=at(150))))
    assert getattr(told, flag)
    assert told.expires_at == at(150)
    told = of("ben", externals=(said,))
    assert getattr(told, flag)
    assert (told.source, told.expires_at) == ("service", at(200))
    assert [told.do_not_disturb, told.away].count(True) == 1


def test_times_and_numbers_alone_are_nothing_to_tell():
    before = of("ben", devices=(device("a", online=1, seen=1),), seq=1)
    assert not differs(before, of("ben", devices=(device("a", online=2, seen=2),), seq=2))
    assert not differs(before, replace(before, expires_at=at(1)))
    assert differs(before, of("ben", devices=(device("a", seen=1),), seq=1))
    both = (device("a", online=1), device("b", online=1))
    assert differs(of("ben", devices=both), of("ben", devices=(both[0], device("b"))))
    assert differs(before, of("ben", devices=(device("a", online=1, push=True),), away=True))


def test_notify_only_engages_when_answered():
    story = Story("ben", "cem", policy=Policy(notify_only=True))
    assert looks(of("ben", story.call)) == ("online", "idle")
    story.do(Answer, "ben", 3)
    assert looks(of("ben", story.call)) == ("busy", "connecting")


def test_a_device_that_has_just_gone_counts_until_its_time_is_over():
    held = replace(device("a", online=5, seen=95), held_until=at(105))
    facts = Facts("ben", devices=(held, device("b", push=True)))
    told = presence(facts, NOW)
    assert (looks(told), told.reachable, told.since) == (("online", "idle"), Reachable.CONNECTED, at(5))
    assert told.devices[0].state is DeviceState.ONLINE
    assert (told.stale_at, told.expires_at) == (at(105), None)
    told = presence(facts, at(105))
    assert (looks(told), told.reachable, told.since) == (("offline", "idle"), Reachable.PUSH, at(95))
    assert told.devices[0].state is DeviceState.OFFLINE
    assert told.stale_at is None


def test_it_is_stale_when_the_first_of_all_runs_out():
    held = replace(device("a", online=5), held_until=at(170))
    facts = Facts("ben", devices=(held,), externals=(external(expires_at=at(180)), external(source="x")))
    assert presence(facts, NOW).stale_at == at(170)
    assert presence(facts, at(170)).stale_at == at(180)
    assert presence(facts, at(190)).stale_at == at(200)
    assert presence(facts, at(200)).stale_at is None


GRACE_S = 10


def lived(gaps):
    """A socket's coming and going, as facts by the second: `(here for, away for)` after one another."""
    moments, second = {}, 0
    for here, away in gaps:
        came = second
        for _ in range(here):
            moments[second] = device("a", online=came)
            second += 1
        left = second
        for _ in range(away):
            moments[second] = replace(device("a", online=came, seen=left), held_until=at(left + GRACE_S))
            second += 1
    return moments


@given(st.lists(st.tuples(st.integers(1, 25), st.integers(1, 25)), min_size=1, max_size=6))
def test_offline_is_told_for_absences_longer_than_the_grace_and_for_no_others(gaps):
    told = [presence(Facts("ben"), at(0))]
    for second, held in lived(gaps).items():
        now = presence(Facts("ben", devices=(held,)), at(second))
        if differs(told[-1], now):
            told.append(now)
    long = [away > GRACE_S for _here, away in gaps]
    offlines = sum(each.state is State.OFFLINE for each in told[1:])
    assert offlines == sum(long)
    assert len(told) == 1 + sum(long) + 1 + sum(long[:-1])
