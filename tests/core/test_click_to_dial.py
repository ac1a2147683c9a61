"""Click-to-dial: the initiator's own devices ring first, and the others are dialled when one of them is picked up."""

import pytest

from service.core.calls import Policy, Rung, engaged_slots
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    DeviceConnected,
    DeviceDisconnected,
    DeviceRemoved,
    End,
    HangUp,
    Join,
    MediaConnected,
    Remove,
    Route,
    Silence,
    Slot,
)
from service.core.dialing import dial, merges_into, replaces
from service.core.refusals import Refusal
from service.core.vocabulary import Channel, DeclineReason, Role, Topology
from tests.core.story import API, NOON, Story, alert_kinds, at, clicked, dialing, nobody_home, person, picks_up

ELSEWHERE = (Slot("018f5e10-0000-7000-8000-00000000aaaa", 0),)
IN_A_CALL = {"ann": ELSEWHERE}
WAITING = Policy(call_waiting=True)
RING_ANN = ["call.created", "participant.invited ann"]
PICKED_UP = ["participant.answered ann", "call.updated ann", "participant.invited ben"]


def refused(*callees, engaged=None, **fields):
    answer = dial(dialing(*callees, ring_initiator=True, **fields), engaged or {}, NOON)
    assert isinstance(answer, Refusal), answer
    return answer.code.value


# the initiator's own ring


def test_only_the_initiator_is_rung_and_engaged():
    story = clicked(person("ben", avatar_url="https://x/b.png", role=Role.SUBSCRIBER))
    call = story.call
    assert story.heard == RING_ANN
    assert story.ends == ("dialing", None)
    assert [(leg.user_id, leg.state.value, leg.device_id, leg.answered_at) for leg in call.legs] == [
        ("ann", "invited", None, None)
    ]
    assert story.rings("ann") == {"ann-phone": "sent", "ann-tablet": "queued"}
    assert [(a.user_id, a.role, a.name, a.avatar_url) for a in call.awaited] == [
        ("ben", Role.SUBSCRIBER, "Ben", "https://x/b.png")
    ]
    assert engaged_slots(call) == {"ann": 0}
    assert (story.due, call.leg("ann").ring_deadline, call.leg("ann").first_seq) == (60, at(60), 1)
    assert (call.ring_initiator, call.group, call.headcount, call.answered_at) == (True, False, 2, None)
    assert {(event.cause.name, event.cause.by) for event in story.news} == {("dial", API)}


def test_an_ordinary_call_awaits_nobody():
    call = Story("ben").call
    assert (call.ring_initiator, call.awaited, call.headcount) == (False, [], 2)
    assert not any(call.outgoing(leg) for leg in call.legs)
    assert [call.other_end(leg).user_id for leg in call.legs] == ["ann", "ann"]


def test_the_call_is_dialing_while_its_initiator_alone_rings():
    story = clicked("ben")
    assert story.do(Ack, "ann", 1) is None
    assert story.heard == ["participant.ringing ann"]
    assert story.ends == ("dialing", None)
    assert story.call.ringing_at is None
    assert story.do(Silence, "ann", 2) is None
    assert story.rings("ann") == {"ann-phone": "silenced", "ann-tablet": "silenced"}
    assert not story.heard


def test_its_own_do_not_disturb_does_not_matter():
    story = clicked("ben", initiator=person("ann", do_not_disturb=True))
    assert story.state("ann") == "invited"
    assert story.rings("ann") == {"ann-phone": "sent"}


@pytest.mark.parametrize("kind", [Answer, Join])
def test_the_others_are_dialled_when_it_picks_up(kind):
    story = clicked("ben")
    story.do(Ack, "ann", 1)
    assert picks_up(story, 20, "ben", kind=kind) is None
    assert story.heard == PICKED_UP
    assert [event.details.get("change") for event in story.news] == [None, "dialing", None]
    assert {event.cause.by.id for event in story.news} == {"ann"}
    assert story.rings("ann") == {"ann-phone": "answered", "ann-tablet": "answered_elsewhere"}
    assert story.rings("ben") == {"ben-phone": "sent"}
    assert (story.leg("ann").device_id, story.leg("ann").ring_deadline) == ("ann-phone", None)
    assert (story.leg("ben").invited_at, story.leg("ben").ring_deadline) == (at(20), at(80))
    assert story.leg("ben").first_seq == next(e.seq for e in story.news if e.type == "call.updated")
    assert (story.call.awaited, story.call.headcount) == ([], 2)
    assert engaged_slots(story.call) == {"ann": 0, "ben": 0}
    assert story.ends == ("dialing", None)
    assert (story.call.answered_at, story.due) == (None, 80)


def test_from_then_on_it_is_a_call_as_any():
    story = clicked("ben")
    picks_up(story, 5, "ben")
    story.do(MediaConnected, "ann", 6)
    assert not story.heard
    story.do(Ack, "ben", 7)
    assert story.heard == ["participant.ringing ben", "call.ringing"]
    assert story.call.ringing_at == at(7)
    story.do(Answer, "ben", 9)
    assert story.heard == ["participant.answered ben", "call.answered ben", "participant.joined ann"]
    assert (story.call.answered_at, story.ends) == (at(9), ("connecting", None))
    story.do(MediaConnected, "ben", 10)
    assert story.ends == ("active", None)
    story.do(HangUp, "ann", 30)
    assert story.ends == ("ended", "hangup")
    assert story.call.talk_ms == 20_000


def test_it_may_pick_up_without_a_device_and_name_it_later():
    story = clicked("ben")
    assert picks_up(story, 5, "ben", device=None) is None
    assert story.rings("ann") == {"ann-phone": "answered_elsewhere", "ann-tablet": "answered_elsewhere"}
    assert story.do(Answer, "ann", 6) is None
    assert (story.leg("ann").device_id, story.heard) == ("ann-phone", [])


def test_picking_up_twice_dials_once():
    story = clicked("ben")
    picks_up(story, 5, "ben")
    assert picks_up(story, 6, "ben") is None
    assert not story.changed
    assert picks_up(story, 6, "ben", device="ann-tablet") == "already_answered"


def test_a_device_whose_ring_has_stopped_does_not_pick_up():
    story = clicked("ben")
    story.do(Decline, "ann", 1, reason=DeclineReason.NOT_SUPPORTED)
    assert story.rings("ann") == {"ann-phone": "not_supported", "ann-tablet": "queued"}
    assert picks_up(story, 2, "ben") == "not_ringing"
    assert (story.state("ann"), len(story.call.awaited)) == ("invited", 1)
    assert picks_up(story, 3, "ben", device="ann-tablet") is None
    assert story.state("ben") == "invited"


def test_who_is_unknown_to_the_desk_by_then_is_still_dialled():
    story = clicked(person("ben", role=Role.SUBSCRIBER))
    picks_up(story, 5)
    ben = story.leg("ben")
    assert (ben.state, ben.name, ben.role, ben.rings) == ("invited", "Ben", Role.SUBSCRIBER, [])
    story.settle(65)
    assert story.ends == ("ended", "unreachable")


# how it ends before anybody else was dialled


@pytest.mark.parametrize(
    ("reason", "leg", "end"),
    [
        (DeclineReason.NONE, "declined", "declined"),
        (DeclineReason.DO_NOT_DISTURB, "declined", "declined"),
        (DeclineReason.NO_ANSWER, "missed", "no_answer"),
    ],
)
def test_it_declines_its_own_ring(reason, leg, end):
    story = clicked("ben")
    assert story.do(Decline, "ann", 4, reason=reason) is None
    assert story.heard == [f"participant.{leg} ann", "call.ended"]
    assert (story.state("ann"), story.ends, story.call.ended_by.id) == (leg, ("ended", end), "ann")
    assert story.rings("ann") == {"ann-phone": "declined_here", "ann-tablet": "declined_elsewhere"}
    assert [a.user_id for a in story.call.awaited] == ["ben"]
    assert picks_up(story, 5, "ben") in {"already_declined", "ring_expired"}
    assert story.do(Cancel, "ann", 6) == "call_ended"


@pytest.mark.parametrize("reason", [DeclineReason.BUSY, DeclineReason.NOT_SUPPORTED])
def test_its_only_device_cannot_take_it(reason):
    story = clicked("ben", initiator=person("ann"))
    assert story.do(Decline, "ann", 4, reason=reason) is None
    assert story.ends == ("ended", reason.value)
    assert "call.missed ann" not in story.all_heard


def test_it_does_not_answer_in_time():
    story = clicked("ben", policy=Policy(ring_timeout_s=20))
    story.settle(25)
    assert story.heard == ["participant.missed ann", "call.ended"]
    assert [(e.occurred_at, e.late_by_ms, e.cause.name) for e in story.news] == [(at(20), 5000, "ring_timeout")] * 2
    assert story.ends == ("ended", "no_answer")
    assert picks_up(story, 26, "ben") == "ring_expired"
    assert story.do(Cancel, "ann", 27) == "call_ended"
    assert story.do(HangUp, "ann", 27) == "call_ended"


def test_it_has_no_device_at_all():
    story = clicked("ben", initiator=nobody_home("ann"))
    story.settle(60)
    assert story.heard == ["participant.unreachable ann", "call.ended"]
    assert story.ends == ("ended", "unreachable")


def test_a_device_that_comes_online_meanwhile_rings():
    story = clicked("ben", initiator=nobody_home("ann"))
    assert story.do(DeviceConnected, "ann", 30) is None
    assert story.rings("ann") == {"ann-phone": "sent"}
    assert story.do(DeviceRemoved, "ann", 31) is None
    assert story.rings("ann") == {"ann-phone": "canceled"}
    assert picks_up(story, 40, "ben", device="ann-web") is None
    assert story.state("ben") == "invited"


@pytest.mark.parametrize("kind", [Cancel, HangUp])
@pytest.mark.parametrize("before", [(), (Ack,)])
def test_it_gives_up_while_its_own_phone_rings(kind, before):
    story = clicked("ben")
    for act in before:
        story.do(act, "ann", 1)
    assert story.do(kind, "ann", 4) is None
    assert story.heard == ["participant.left ann", "call.ended"]
    assert (story.state("ann"), story.ends) == ("canceled", ("ended", "canceled"))
    assert story.rings("ann") == {"ann-phone": "canceled", "ann-tablet": "canceled"}
    for again in (Cancel, HangUp):
        assert story.do(again, "ann", 5) is None
        assert not story.changed


def test_a_backend_gives_up_for_it():
    story = clicked("ben")
    assert story.server(Cancel, 3, user_id="ann") is None
    assert (story.call.ended_by, story.ends) == (API, ("ended", "canceled"))


def test_only_the_initiators_own_ring_can_be_given_up():
    story = clicked("ben")
    picks_up(story, 2, "ben")
    assert story.do(Cancel, "ben", 3) == "not_initiator"
    assert story.do(HangUp, "ben", 3) == "not_initiator"
    assert story.do(Cancel, "ann", 4) is None
    assert story.ends == ("ended", "canceled")
    assert story.heard == ["participant.left ann", "participant.left ben", "call.missed ben", "call.ended"]


@pytest.mark.parametrize(("kind", "fields", "end"), [(Remove, {"target": "ann"}, "removed"), (End, {}, "terminated")])
def test_it_is_ended_from_outside(kind, fields, end):
    story = clicked("ben", "cem")
    assert story.server(kind, 3, **fields) is None
    assert story.ends == ("ended", end)
    assert "call.missed ann" not in story.all_heard


def test_nobody_who_waits_can_be_removed():
    story = clicked("ben")
    assert story.server(Remove, 3, target="ben") == "not_participant"
    assert story.ends == ("dialing", None)


# what the pick-up finds


@pytest.mark.parametrize(
    ("ben", "engaged", "end"),
    [
        (person("ben"), {"ben": ELSEWHERE}, "busy"),
        (person("ben", do_not_disturb=True), {}, "declined"),
        (person("ben", forbidden=True), {}, "forbidden"),
        (person("ben", known=False), {}, "unreachable"),
        (person("ben", busy=True), {}, "busy"),
    ],
)
def test_one_who_cannot_be_rung_ends_it_at_the_pick_up(ben, engaged, end):
    story = clicked("ben")
    assert picks_up(story, 5, ben, engaged=engaged) is None
    assert story.heard[:3] == PICKED_UP
    assert (story.heard[-1], story.ends) == ("call.ended", ("ended", end))
    assert story.state("ann") == "left"
    assert ("call.missed ben" in story.heard) == (end in {"busy", "declined"})


def test_of_a_group_those_are_rung_who_can_be():
    story = clicked("ben", "cem", "dan")
    assert (story.call.group, story.call.headcount) == (True, 4)
    assert picks_up(story, 5, "ben", person("cem", do_not_disturb=True), "dan", engaged={"dan": ELSEWHERE}) is None
    assert [story.state(user) for user in ("ben", "cem", "dan")] == ["invited", "declined", "busy"]
    assert len({story.leg(user).first_seq for user in ("ben", "cem", "dan")}) == 1
    story.settle(65)
    assert story.ends == ("ended", "no_answer")


def test_of_a_hunt_the_first_takes_it():
    story = clicked("ben", "cem", policy=Policy(hunt=True))
    picks_up(story, 5, "ben", "cem")
    assert story.do(Answer, "cem", 8) is None
    assert (story.state("ben"), story.rings("ben")) == ("canceled", {"ben-phone": "answered_elsewhere"})
    assert not story.call.group


def test_of_those_who_are_only_told_nobody_rings_but_the_initiator():
    policy = Policy(notify_only=True, fallback=(Rung(Channel.EMAIL, 5),))
    story = clicked("ben", policy=policy)
    assert engaged_slots(story.call) == {"ann": 0}
    assert story.rings("ann") == {"ann-phone": "sent", "ann-tablet": "queued"}
    assert alert_kinds(None, story) == {("ring", "ann")}
    story.do(Ack, "ann", 1, device="ann-web")
    assert story.rings("ann")["ann-web"] == "alerting"
    before = story.call
    assert picks_up(story, 5, "ben", engaged=IN_A_CALL) is None
    assert (story.rings("ben"), engaged_slots(story.call)) == ({}, {"ann": 0})
    assert alert_kinds(before, story) == {("notify", "ben")}
    assert story.do(Answer, "ben", 9) is None
    assert story.ends == ("connecting", None)


def test_the_initiator_without_a_device_is_unreachable_even_where_others_are_only_told():
    story = clicked("ben", initiator=nobody_home("ann"), policy=Policy(notify_only=True))
    story.settle(60)
    assert story.state("ann") == "unreachable"


def test_a_waiting_call_stays_until_the_initiator_picks_up():
    assert refused("ben", engaged=IN_A_CALL) == "initiator_busy"
    story = clicked("ben", policy=WAITING, engaged=IN_A_CALL)
    assert engaged_slots(story.call) == {"ann": 1}
    assert picks_up(story, 5, "ben", engaged=IN_A_CALL) is None
    assert engaged_slots(story.call) == {"ann": 1, "ben": 0}


# what is refused at once


@pytest.mark.parametrize(
    ("callees", "fields", "code"),
    [
        ((), {}, "invalid_request"),
        (("ann",), {}, "cannot_call_self"),
        ((person("ben", known=False),), {}, "invalid_users"),
        ((person("ben", forbidden=True),), {}, "forbidden_by_policy"),
        ((person("ben", wrong="no such test user"),), {}, "invalid_request"),
        (("ben", "cem"), {"policy": Policy(max_participants=2)}, "capacity_exceeded"),
        (("ben",), {"initiator": person("ann", known=False)}, "invalid_users"),
        (("ben",), {"initiator": person("ann", wrong="no such test user")}, "invalid_request"),
        (("ben",), {"initiator": person("ann", busy=True)}, "initiator_busy"),
    ],
)
def test_a_dial_that_cannot_be_is_refused_at_once(callees, fields, code):
    assert refused(*callees, **fields) == code


@pytest.mark.parametrize(
    ("facts", "detail"), [({"wrong": "no such test user"}, "no such test user"), ({"busy": True}, "takes no ring")]
)
def test_a_test_user_that_cannot_be_rung_is_told_why(facts, detail):
    refusal = dial(dialing("ben", ring_initiator=True, initiator=person("ann", **facts)), {}, NOON)
    assert detail in refusal.detail
    assert refusal.users == ("ann",)
    ordinary = dial(dialing("ben", initiator=person("ann", **facts)), {}, NOON)
    assert not isinstance(ordinary, Refusal)


def test_callees_are_not_asked_before_the_pick_up():
    story = clicked(person("ben", do_not_disturb=True), engaged={"ben": ELSEWHERE})
    assert story.ends == ("dialing", None)
    picks_up(story, 3, "ben")
    assert story.state("ben") == "invited"


def test_glare_is_not_merged():
    theirs = Story("ann", caller="ben").call
    assert merges_into(theirs, dialing("ben", caller="ann"))
    assert not merges_into(theirs, dialing("ben", caller="ann", ring_initiator=True))
    mine = clicked("ben").call
    assert not merges_into(mine, dialing("ann", caller="ben"))
    assert not replaces(mine, dialing("ben", caller="ann"), frozenset())


# meanwhile


def test_whoever_is_invited_meanwhile_is_dialled_with_the_others():
    story = clicked("ben", policy=Policy(max_participants=3))
    assert story.invite(1, "cem", by="ann") == "not_participant"
    assert story.invite(2, "cem", "dan", by=None) == "capacity_exceeded"
    assert story.invite(3, "ben", "ann", by=None) is None
    assert not story.changed
    assert story.invite(4, person("cem", role=Role.SUBSCRIBER), by=None) is None
    assert (story.heard, story.news[0].details["change"]) == (["call.updated"], "awaited")
    assert ([a.user_id for a in story.call.awaited], story.call.group) == (["ben", "cem"], True)
    picks_up(story, 5, "ben", "cem")
    assert [leg.user_id for leg in story.call.legs] == ["ann", "ben", "cem"]


def test_nobody_comes_in_before_the_initiator():
    story = clicked("ben")
    assert story.do(Join, "ben", 2, person=person("ben")) == "not_ringing"
    assert story.do(Join, "ben", 2) == "not_participant"
    assert story.do(Answer, "ben", 2) == "not_participant"
    story.do(Cancel, "ann", 3)
    assert story.do(Join, "ben", 4, person=person("ben")) == "call_ended"


def test_no_worker_is_wanted_before_a_callee_has_answered():
    story = clicked("ben", "cem", topology=Topology.ROUTED)
    picks_up(story, 5, "ben", "cem")
    assert story.call.room is None
    story.do(Answer, "ben", 6)
    assert story.call.room.since == at(6)
    moved = clicked("ben", policy=Policy(may_route=True))
    assert moved.server(Route, 1) is None
    assert (moved.call.topology, moved.call.room) == (Topology.ROUTED, None)


def test_the_callers_lease_begins_with_the_pick_up():
    story = clicked("ben", policy=Policy(caller_lease_s=10))
    assert story.do(DeviceDisconnected, "ann", 1) is None
    assert not story.changed
    picks_up(story, 5, "ben")
    story.do(DeviceDisconnected, "ann", 6)
    assert story.due == 16
    story.settle(16)
    assert story.ends == ("ended", "caller_lost")


def test_the_initiator_may_come_back_as_anybody():
    story = clicked("ben", "cem")
    picks_up(story, 1, "ben", "cem")
    for user in ("ben", "cem"):
        story.do(Answer, user, 2)
        story.do(MediaConnected, user, 2)
    story.do(HangUp, "ann", 3)
    assert story.invite(4, "ann", by="ben") is None
    leg = story.leg("ann")
    assert (leg.attempt, story.call.outgoing(leg), story.call.other_end(leg).user_id) == (2, False, "ann")
    assert story.do(Cancel, "ann", 5) == "not_initiator"
    assert story.do(HangUp, "ann", 5) == "not_initiator"
    story.settle(64)
    assert story.heard == ["participant.missed ann", "call.missed ann"]
    assert story.do(Cancel, "ann", 65) == "not_ringing"
