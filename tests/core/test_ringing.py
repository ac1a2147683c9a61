"""Stories of ringing: acknowledge, answer, decline, cancel, and time running out."""

import pytest

from service.core.calls import Policy, engaged_slots
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    Device,
    DeviceConnected,
    DeviceDisconnected,
    DeviceRemoved,
    End,
    HangUp,
    Hold,
    Join,
    MediaConnected,
    Signal,
    Silence,
)
from service.core.refusals import Code, Refusal
from service.core.vocabulary import ActorType, DeclineReason, EndReason, Provider, RingState
from tests.core.story import API, NOON, Story, at, nobody_home, person, talking, two_devices


def ringing(*callees, **fields):
    """Everybody's phone has acknowledged by second 1."""
    story = Story(*(callees or (two_devices("ben"),)), **fields)
    for leg in story.call.callees():
        story.do(Ack, leg.user_id, 1)
    return story


def test_an_acknowledgement_makes_it_ring_and_nothing_else_does():
    story = Story(two_devices("ben"))
    story.do(DeviceConnected, "ben", 1)
    assert story.ends == ("dialing", None)
    assert story.do(Ack, "ben", 2, device="ben-tablet") is None
    assert story.heard == ["participant.ringing ben", "call.ringing"]
    assert story.news[0].details == {"device_id": "ben-tablet"}
    assert story.ends == ("ringing", None)
    assert (story.leg("ben").ringing_at, story.call.ringing_at) == (at(2), at(2))
    assert story.rings("ben") == {"ben-phone": "sent", "ben-tablet": "alerting"}
    tablet = story.leg("ben").rings[1]
    assert (tablet.alerting_at, tablet.sent_at) == (at(2), at(2))
    story.do(Ack, "ben", 3)
    assert story.heard == []
    assert story.changed
    phone = story.leg("ben").rings[0]
    assert (phone.alerting_at, phone.sent_at) == (at(3), NOON)
    story.do(Ack, "ben", 4)
    assert not story.changed


def test_an_acknowledgement_in_spite_of_a_providers_error_proves_the_error_wrong():
    story = Story(two_devices("ben"))
    story.leg("ben").rings[1].state = RingState.FAILED
    assert story.do(Ack, "ben", 2, device="ben-tablet") is None
    assert story.rings("ben")["ben-tablet"] == "alerting"


def test_a_device_whose_ring_has_stopped_does_not_ring():
    story = ringing()
    story.do(Decline, "ben", 2, reason=DeclineReason.BUSY)
    assert story.do(Ack, "ben", 3) == "not_ringing"


@pytest.mark.parametrize(
    "stop",
    [
        lambda story: story.do(Decline, "ben", 2, reason=DeclineReason.NOT_SUPPORTED),
        lambda story: story.do(Decline, "ben", 2, reason=DeclineReason.BUSY),
        lambda story: story.do(DeviceRemoved, "ben", 2),
    ],
    ids=["not supported", "busy", "unregistered"],
)
@pytest.mark.parametrize("kind", [Answer, Join])
def test_a_device_whose_ring_has_stopped_does_not_answer_and_the_others_may(kind, stop):
    story = ringing()
    stop(story)
    assert story.do(kind, "ben", 3) == "not_ringing"
    assert story.refusal == Refusal(Code.NOT_RINGING, "this device's ring has already stopped", ("ben",))
    assert not story.changed
    assert story.do(kind, "ben", 4, device="ben-tablet") is None
    assert story.leg("ben").device_id == "ben-tablet"


def test_a_device_that_was_never_rung_or_could_not_be_reached_may_answer():
    story = ringing()
    assert story.do(Answer, "ben", 2, device="ben-car") is None
    assert story.leg("ben").device_id == "ben-car"
    story = ringing()
    story.leg("ben").rings[1].state = RingState.FAILED
    assert story.do(Answer, "ben", 2, device="ben-tablet") is None
    assert story.leg("ben").device_id == "ben-tablet"


@pytest.mark.parametrize("before", [0, 1])
def test_a_device_that_rings_by_itself_is_one_of_those_that_ring(before):
    """Invariant 5: it gets its one stop or answer, too."""
    story = ringing() if before else Story(nobody_home("ben"))
    assert story.do(Ack, "ben", 2, device="ben-car") is None
    ring = story.leg("ben").rings[-1]
    assert (ring.device_id, ring.state, ring.via, ring.attempt) == ("ben-car", RingState.ALERTING, "socket", 1)
    assert (ring.queued_at, ring.sent_at, ring.alerting_at) == (at(2), at(2), at(2))
    assert story.state("ben") == "ringing"
    story.do(Ack, "ben", 3, device="ben-car")
    assert not story.changed
    story.do(Answer, "ben", 4)
    assert story.rings("ben")["ben-car"] == "answered_elsewhere"


def test_a_ring_that_a_device_began_is_the_one_that_it_would_have_been_given():
    began, given = Story(nobody_home("ben")), Story(nobody_home("ben"))
    began.do(Ack, "ben", 2)
    given.do(DeviceConnected, "ben", 2)
    assert began.leg("ben").rings[0].id == given.leg("ben").rings[0].id


def test_08_a_device_that_rings_by_itself_is_silenced_with_the_others():
    story = ringing()
    story.do(Silence, "ben", 2)
    assert story.do(Ack, "ben", 3, device="ben-car") is None
    ring = story.leg("ben").rings[-1]
    assert (ring.device_id, ring.state, ring.alerting_at) == ("ben-car", RingState.SILENCED, at(3))


def test_a_device_of_a_notified_user_records_no_alert():
    story = Story("ben", policy=Policy(notify_only=True))
    assert story.do(Ack, "ben", 2) is None
    assert story.rings("ben") == {}


def test_an_acknowledgement_without_a_device_makes_it_ring_and_records_no_alert():
    story = Story(nobody_home("ben"))
    assert story.do(Ack, "ben", 2, device=None) is None
    assert story.state("ben") == "ringing"
    assert story.rings("ben") == {}


def test_04_two_devices_answer_together_one_wins():
    story = ringing()
    assert story.do(Answer, "ben", 2) is None
    assert story.heard == ["participant.answered ben", "call.answered ben"]
    assert story.do(Answer, "ben", 2, device="ben-tablet") == "already_answered"
    assert story.heard == []
    assert story.rings("ben") == {"ben-phone": "answered", "ben-tablet": "answered_elsewhere"}
    assert story.leg("ben").device_id == "ben-phone"
    assert story.refusal.users == ("ben",)


def test_04_the_winner_may_repeat_itself():
    story = ringing()
    story.do(Answer, "ben", 2)
    assert story.do(Answer, "ben", 3) is None
    assert not story.changed


def test_05_answered_on_one_device_stops_all_others():
    story = ringing()
    story.do(Answer, "ben", 2, device="ben-tablet")
    assert story.rings("ben") == {"ben-phone": "answered_elsewhere", "ben-tablet": "answered"}
    assert [ring.ended_at for ring in story.leg("ben").rings] == [at(2), at(2)]
    leg = story.leg("ben")
    assert (leg.answered_at, leg.ring_deadline, leg.device_id) == (at(2), None, "ben-tablet")
    assert story.news[0].details == {"device_id": "ben-tablet"}
    assert story.ends == ("connecting", None)
    assert story.call.answered_at == at(2)


def test_05_an_answer_without_a_device_stops_them_all():
    story = ringing()
    assert story.do(Answer, "ben", 2, device=None) is None
    assert set(story.rings("ben").values()) == {"answered_elsewhere"}


def test_08_silence_stops_the_noise_and_the_caller_hears_ringing_until_the_deadline():
    story = ringing()
    assert story.do(Silence, "ben", 2, device="ben-tablet") is None
    assert story.rings("ben") == {"ben-phone": "silenced", "ben-tablet": "silenced"}
    assert story.heard == []
    assert story.changed
    assert story.ends == ("ringing", None)
    story.do(Silence, "ben", 3)
    assert not story.changed
    story.settle(60)
    assert story.state("ben") == "missed"
    assert set(story.rings("ben").values()) == {"timed_out"}


def test_08_a_silenced_user_may_still_answer_or_acknowledge():
    story = Story(two_devices("ben"))
    story.do(Silence, "ben", 2)
    assert story.do(Ack, "ben", 3) is None
    assert story.rings("ben")["ben-phone"] == "silenced"
    assert story.state("ben") == "ringing"
    assert story.do(Answer, "ben", 4) is None
    assert story.rings("ben")["ben-phone"] == "answered"


def test_08_a_device_that_comes_online_later_keeps_quiet_too():
    story = ringing()
    story.do(Silence, "ben", 2)
    story.do(DeviceConnected, "ben", 3, device="ben-web")
    assert set(story.rings("ben")) == {"ben-phone", "ben-tablet"}


def test_12_an_answer_after_the_deadline_settles_the_timeout_first():
    story = ringing()
    assert story.do(Answer, "ben", 75) == "ring_expired"
    assert story.changed
    assert story.heard == ["participant.missed ben", "call.missed ben", "participant.left ann", "call.ended"]
    assert {event.occurred_at for event in story.news} == {at(60)}
    assert {event.late_by_ms for event in story.news} == {15_000}
    assert {(event.cause.kind, event.cause.name) for event in story.news} == {("timer", "ring_timeout")}


@pytest.mark.parametrize(("when", "code"), [(59.999999, None), (60, "ring_expired"), (60.000001, "ring_expired")])
def test_13_of_timer_and_answer_exactly_one_wins(when, code):
    story = ringing()
    assert story.do(Answer, "ben", when) == code
    assert story.ends == (("ended", "no_answer") if code else ("connecting", None))


def test_14_a_minute_without_an_answer():
    story = ringing()
    story.settle(60)
    assert story.state("ben") == "missed"
    assert story.ends == ("ended", "no_answer")
    assert story.heard == ["participant.missed ben", "call.missed ben", "participant.left ann", "call.ended"]
    assert set(story.rings("ben").values()) == {"timed_out"}
    assert (story.leg("ben").by, story.leg("ann").end_reason) == (story.call.ended_by, EndReason.NO_ANSWER)
    assert story.call.ended_by.type is ActorType.SERVER
    assert {event.late_by_ms for event in story.news} == {0}
    assert story.call.talk_ms == 0


def test_16_what_passed_while_the_service_was_down_is_settled_as_of_its_moment():
    story = ringing()
    story.settle(7200.25)
    assert story.call.ended_at == story.leg("ben").ended_at == at(60)
    assert {event.late_by_ms for event in story.news} == {7_140_250}
    assert story.call.touched_at == at(7200.25)
    story.do(DeviceConnected, "ben", 7201)
    assert not story.changed
    assert not [ring for leg in story.call.legs for ring in leg.open_rings()]


def test_18_a_device_that_comes_online_rings_with_the_remaining_time():
    story = Story(nobody_home("ben"))
    story.do(DeviceConnected, "ben", 20, device="ben-web")
    assert story.rings("ben") == {"ben-web": "sent"}
    ring = story.leg("ben").rings[0]
    assert (ring.via, ring.sent_at, ring.queued_at) == ("socket", at(20), at(20))
    assert story.heard == []
    assert story.due == 60
    assert story.do(Ack, "ben", 21, device="ben-web") is None
    story.do(DeviceConnected, "ben", 22, device="ben-web")
    assert not story.changed


@pytest.mark.parametrize("state", [RingState.QUEUED, RingState.FAILED])
def test_18_a_pushed_device_that_comes_online_is_told_over_its_socket(state):
    story = Story(person("ben", Device("ben-phone", provider=Provider.FCM)))
    story.leg("ben").rings[0].state = state
    story.do(DeviceConnected, "ben", 20)
    ring = story.leg("ben").rings[0]
    assert (ring.state.value, ring.via, ring.sent_at) == ("sent", "socket", at(20))


def test_18_a_device_of_a_notified_user_does_not_ring():
    story = Story("ben", policy=Policy(notify_only=True))
    story.do(DeviceConnected, "ben", 20)
    assert not story.changed


def test_a_guest_who_comes_online_does_not_ring():
    """T-03: whoever was dialled and is there only as a guest is rung on no device of theirs."""
    story = Story(nobody_home("ben"))
    story.do(DeviceConnected, "ben", 20, device="ben-web", rings=False)
    assert not story.changed
    assert story.rings("ben") == {}


def test_a_guest_who_comes_back_online_takes_the_place_back():
    story = talking("ben")
    story.do(DeviceDisconnected, "ben", 10)
    assert story.state("ben") == "reconnecting"
    story.do(DeviceConnected, "ben", 12, rings=False)
    assert story.state("ben") == "connected"
    assert story.heard == ["participant.reconnected ben"]


def test_18_coming_online_on_no_device_rings_nothing():
    story = Story(nobody_home("ben"))
    story.do(DeviceConnected, "ben", 20, device=None)
    assert not story.changed


def test_41_the_caller_vanished_while_it_rang():
    story = ringing()
    story.do(DeviceDisconnected, "ann", 10)
    assert story.heard == []
    assert story.leg("ann").lost_at == at(10)
    assert story.due == 40
    story.settle(40)
    assert story.ends == ("ended", "caller_lost")
    assert story.state("ben") == "canceled"
    assert "call.missed ben" in story.heard
    assert story.news[-1].cause.name == "caller_lease"


def test_41_the_lease_is_not_the_grace_of_a_running_call():
    story = ringing(policy=Policy(caller_lease_s=20, reconnect_grace_s=5))
    story.do(DeviceDisconnected, "ann", 10)
    assert story.due == 30


def test_41_the_caller_came_back_in_time():
    story = ringing()
    story.do(DeviceDisconnected, "ann", 10)
    story.do(DeviceDisconnected, "ann", 20)
    assert story.due == 40
    story.do(DeviceConnected, "ann", 39, device="ann-web")
    assert story.due == 40
    story.do(DeviceConnected, "ann", 39.5)
    assert story.due == 60


def test_41_the_lease_is_about_ringing_alone():
    story = ringing()
    story.do(DeviceDisconnected, "ann", 10)
    story.do(Answer, "ben", 20)
    assert story.due == 50
    story.settle(40)
    assert not story.changed


def test_41_a_call_made_by_a_backend_has_no_lease():
    story = ringing(device=None)
    story.do(DeviceDisconnected, "ann", 10)
    assert not story.changed
    story.do(DeviceDisconnected, "ann", 10, device=None)
    assert not story.changed
    assert story.due == 60


def test_41_other_devices_of_the_caller_do_not_matter():
    story = ringing()
    story.do(DeviceDisconnected, "ann", 10, device="ann-web")
    assert not story.changed
    story.do(DeviceDisconnected, "ben", 10)
    assert not story.changed


def test_57_a_device_that_is_unregistered_stops_and_the_others_go_on():
    story = ringing()
    story.do(DeviceRemoved, "ben", 2)
    assert story.rings("ben") == {"ben-phone": "canceled", "ben-tablet": "queued"}
    assert story.leg("ben").rings[0].ended_at == at(2)
    assert story.heard == []
    assert story.state("ben") == "ringing"
    story.do(DeviceRemoved, "ben", 3)
    assert not story.changed
    story.do(DeviceRemoved, "ben", 4, device="ben-tablet")
    assert story.ends == ("ringing", None)
    assert story.due == 60


def test_58_time_never_runs_backwards():
    story = ringing()
    story.do(Answer, "ben", 30)
    story.do(MediaConnected, "ben", 10)
    assert story.leg("ben").connected_at == at(30)
    assert story.call.touched_at == at(30)
    assert story.news[0].occurred_at == at(30)
    assert story.news[0].late_by_ms == 0


def test_a_stranger_has_no_say():
    story = ringing()
    for kind in (Ack, Answer, Decline, Cancel, HangUp, Silence, Hold):
        assert story.do(kind, "zoe", 2) == "not_participant"
        assert story.refusal.users == ("zoe",)
    assert not story.changed


def test_a_quick_message_while_it_rings():
    story = ringing()
    assert story.do(Signal, "ben", 2, type="chat", data={"text": "5 min"}, to=("ann",)) is None
    assert story.heard == ["signal.sent ben"]
    event = story.news[0]
    assert event.only_for == ("ann",)
    assert event.details == {"signal": {"type": "chat", "data": {"text": "5 min"}, "to": ["ann"]}}
    assert story.do(Signal, "ben", 3, type="chat", to=("ann", "zoe")) == "not_participant"
    assert story.refusal.users == ("zoe",)


@pytest.mark.parametrize(
    ("reason", "state", "stop"),
    [
        (EndReason.TERMINATED, "canceled", "canceled"),
        (EndReason.REPLACED, "canceled", "canceled"),
        (EndReason.MEDIA_FAILED, "failed", "error"),
        (EndReason.ERROR, "failed", "error"),
    ],
)
def test_whoever_ends_a_ringing_call_stops_every_device(reason, state, stop):
    story = ringing()
    assert story.server(End, 2, reason=reason) is None
    assert story.ends == ("ended", reason.value)
    assert (story.state("ben"), story.leg("ben").end_reason) == (state, reason)
    assert set(story.rings("ben").values()) == {stop}
    assert story.leg("ben").by == story.leg("ann").by == API
    assert "call.missed ben" in story.heard
    assert engaged_slots(story.call) == {}
    assert story.server(End, 3) is None
    assert not story.changed


def test_every_event_says_what_made_it():
    story = ringing()
    story.do(Answer, "ben", 2)
    assert {(e.cause.kind, e.cause.name, e.cause.by.id) for e in story.news} == {("command", "answer", "ben")}
    story = talking("ben")
    story.do(HangUp, "ben", 9)
    assert {e.cause.name for e in story.news} == {"hang_up"}
    assert {e.cause.name for e in Story("ben").news} == {"dial"}


def test_who_acts_by_an_earlier_ring_does_nothing_to_the_next_invitation():
    story = talking(person("cy"), two_devices("ben"))
    ring = story.leg("ben").rings[0]
    story.do(HangUp, "ben", 4)
    story.invite(5, two_devices("ben"))
    for kind in (Ack, Silence, Decline, Answer):
        assert story.do(kind, "ben", 6, ring.device_id, ring_id=ring.id) == "ring_expired"
        assert not story.changed
    later = story.leg("ben").rings[-1]
    assert story.do(Answer, "ben", 7, later.device_id, ring_id=later.id) is None


def test_who_answered_by_a_ring_and_came_back_without_one_cannot_answer_by_it_again():
    story = talking(person("cy"), two_devices("ben"))
    ring = story.leg("ben").rings[0]
    assert story.do(Answer, "ben", 4, ring.device_id, ring_id=ring.id) is None
    story.do(HangUp, "ben", 5)
    story.do(Join, "ben", 6, ring.device_id)
    assert story.do(Answer, "ben", 7, ring.device_id, ring_id=ring.id) == "ring_expired"
