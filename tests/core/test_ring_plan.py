"""Which device is woken when, what is taken back, and whom else to tell (scenarios 5, 7, 10, 14 to 19, 27, 57)."""

from dataclasses import replace

import pytest

from service.core.calls import SERVER, Actor, Policy, Rung
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    DeviceRegistered,
    DeviceRemoved,
    FellBack,
    Invite,
    Pushed,
    Silence,
)
from service.core.commands import Device as Given
from service.core.ringing import Drop, Send, Wait, alerts_of, next_push, try_again, verdict
from service.core.vocabulary import ActorType, AlertKind, Channel, DeclineReason, Platform, Provider, RingState
from tests.core.story import API, Story, at, nobody_home, person

FCM = Provider.FCM


def asleep(user, *names, **fields):
    """A person whose devices can be woken and are on no socket."""
    named = names or (f"{user}-phone",)
    devices = tuple(Given(name, provider=FCM, platform=Platform.ANDROID, **fields) for name in named)
    return person(user, *devices)


class Plan(Story):
    """A story that notes what each turn puts on the way, as `kind who-or-device at-seconds`."""

    def __init__(self, *callees, **fields):
        super().__init__(*callees, **fields)
        self.alerts = {}
        self.queued = self._note(None)

    def command(self, command, when, engaged=None):
        before = self.call
        code = super().command(command, when, engaged)
        self.queued = self._note(before)
        return code

    def _note(self, before):
        found = alerts_of(before, self.call, self.news)
        new = [alert for alert in found if alert.id not in self.alerts]
        self.alerts.update((alert.id, alert) for alert in found)
        return [spoken(alert) for alert in new]

    def alert(self, kind, device=None):
        """The alert of that kind (for that device)."""
        (found,) = [a for a in self.alerts.values() if a.kind is kind and device in {None, a.device_id}]
        return found

    def pushed(self, user, when, device=None, *, accepted=True, **told):
        """The provider's word for the push of that device."""
        device = device or f"{user}-phone"
        ring = self.leg(user).ring_of(device)
        command = Pushed(SERVER, user, device, ring_id=ring.id, accepted=accepted, provider_id="p1", **told)
        return self.command(command, when)

    def perhaps(self, user, when, device=None):
        """A push of that device of which nobody knows whether it was taken."""
        return self.pushed(user, when, device, accepted=False, perhaps=True)

    def registers(self, user, when, device=None, provider=FCM, **fields):
        """That device registers, or registers again."""
        given = Given(device or f"{user}-phone", provider=provider, platform=Platform.ANDROID, **fields)
        command = DeviceRegistered(Actor(ActorType.USER, user), user, given.id, device=given)
        return self.command(command, when)

    def says(self, kind, when, taken=0, device=None):
        """What the plan says of that alert at that moment."""
        return verdict(self.call, self.alert(kind, device), taken, at(when))


def spoken(alert):
    seconds = (alert.due_at - at(0)).total_seconds()
    return f"{alert.kind} {alert.device_id or alert.channel or alert.user_id} {seconds:g}"


def test_a_sleeping_device_is_pushed_at_once_and_at_10_and_20_seconds_until_it_acknowledges():
    plan = Plan(asleep("ben"))
    assert plan.queued == ["ring ben-phone 0"]
    ring = plan.alert(AlertKind.RING)
    assert ring.until == at(60)
    assert plan.says(AlertKind.RING, 0) == Send()
    assert [next_push(plan.call, ring, taken, at(0)) for taken in (1, 2, 3)] == [at(10), at(20), None]
    assert [next_push(plan.call, ring, 1, at(when)) for when in (9, 10, 19, 20, 45)] == [
        at(10), at(20), at(20), None, None
    ]  # fmt: skip
    assert plan.says(AlertKind.RING, 3, taken=1) == Wait(at(10))
    assert plan.says(AlertKind.RING, 10, taken=1) == Send()
    plan.do(Ack, "ben", 11)
    assert plan.says(AlertKind.RING, 20, taken=2) == Drop("the device has acknowledged")


def test_a_device_on_a_socket_has_two_seconds_to_say_that_it_heard():
    plan = Plan(person("ben", Given("ben-phone", connected=True, provider=FCM)))
    assert plan.queued == ["ring ben-phone 2"]
    assert plan.says(AlertKind.RING, 1) == Wait(at(2))
    assert plan.says(AlertKind.RING, 2) == Send()
    plan.do(Ack, "ben", 1)
    assert isinstance(plan.says(AlertKind.RING, 2), Drop)


def test_a_device_that_was_woken_but_shows_nothing_yet_is_not_pushed_again_and_does_not_ring():
    plan = Plan(asleep("ben"))
    plan.pushed("ben", 1)
    plan.do(Ack, "ben", 2, alerting=False)
    assert plan.heard == ["notification.delivered ben"]
    assert (plan.state("ben"), plan.rings("ben")) == ("invited", {"ben-phone": "delivered"})
    assert plan.says(AlertKind.RING, 10, taken=1) == Drop("the device has acknowledged")
    plan.do(Ack, "ben", 3)
    assert plan.heard == ["participant.ringing ben", "call.ringing"]
    assert plan.call.state == "ringing"


def test_no_push_where_the_schedule_is_empty():
    assert Plan(asleep("ben"), policy=Policy(realert_s=())).queued == []


def test_one_push_for_each_thing_in_somebody_s_hand():
    plan = Plan(asleep("ben", "app", "browser", hardware_id="pixel"))
    assert plan.queued == ["ring app 0"]
    plan.pushed("ben", 1, "app", accepted=False, reason="Unregistered")
    assert plan.rings("ben") == {"app": "failed", "browser": "queued"}
    assert plan.queued == ["ring browser 0"]
    assert plan.says(AlertKind.RING, 1, device="browser") == Send()


def test_a_thing_whose_first_app_has_a_dead_socket_and_a_dead_registration_is_woken_by_the_next_app():
    first = Given("app", connected=True, provider=FCM, hardware_id="pixel")
    second = Given("browser", provider=FCM, hardware_id="pixel")
    plan = Plan(person("ben", first, second))
    assert plan.queued == ["ring app 2"]
    plan.pushed("ben", 3, "app", accepted=False, reason="Unregistered")
    assert plan.rings("ben") == {"app": "sent", "browser": "queued"}
    assert plan.queued == ["ring browser 2"]


def test_a_thing_that_rings_by_one_of_its_apps_is_not_pushed_by_another():
    plan = Plan(asleep("ben", "app", "browser", hardware_id="pixel"))
    plan.do(Ack, "ben", 1, device="browser")
    assert plan.says(AlertKind.RING, 0, device="app") == Drop("another app on the same device has acknowledged")


def test_a_thing_that_one_of_its_apps_hears_of_by_a_socket_has_the_same_two_seconds_before_another_is_pushed():
    on_socket = Given("browser", connected=True, hardware_id="pixel")
    plan = Plan(person("ben", Given("app", provider=FCM, hardware_id="pixel"), on_socket))
    assert plan.queued == ["ring app 2"]
    assert plan.says(AlertKind.RING, 1, device="app") == Wait(at(2))
    assert plan.says(AlertKind.RING, 2, device="app") == Send()
    plan.do(Ack, "ben", 1, device="browser")
    assert plan.says(AlertKind.RING, 2, device="app") == Drop("another app on the same device has acknowledged")


def test_devices_without_a_hardware_id_are_things_of_their_own():
    assert Plan(asleep("ben", "phone", "tablet")).queued == ["ring phone 0", "ring tablet 0"]


def test_15_a_hard_error_stops_that_device_only():
    plan = Plan(asleep("ben", "phone", "tablet"))
    plan.pushed("ben", 1, "phone", accepted=False, reason="BadDeviceToken")
    plan.pushed("ben", 1, "tablet")
    assert plan.heard == ["notification.sent ben"]
    assert plan.rings("ben") == {"phone": "failed", "tablet": "sent"}
    assert plan.leg("ben").rings[0].failure == "BadDeviceToken"
    plan.settle(60)
    assert plan.ends == ("ended", "no_answer")


def test_15_a_device_that_registers_anew_after_its_push_failed_is_rung_again():
    plan = Plan(asleep("ben"))
    plan.pushed("ben", 1, accepted=False, reason="Unregistered")
    plan.registers("ben", 3)
    assert (plan.heard, plan.queued, plan.rings("ben")) == ([], ["ring ben-phone 3"], {"ben-phone": "queued"})
    (_, again) = [alert for alert in plan.alerts.values() if alert.kind is AlertKind.RING]
    assert verdict(plan.call, again, 0, at(3)) == Send()
    assert next_push(plan.call, again, 1, at(4)) == at(13)
    assert plan.leg("ben").rings[0].failure is None
    plan.registers("ben", 4)
    assert not plan.changed


def test_15_a_device_that_registers_first_during_the_ring_is_rung():
    plan = Plan(nobody_home("ben"))
    plan.registers("ben", 3)
    assert plan.queued == ["ring ben-phone 3"]
    assert plan.rings("ben") == {"ben-phone": "queued"}


def test_15_a_device_on_a_socket_that_registers_during_the_ring_has_its_two_seconds():
    plan = Plan(person("ben", Given("ben-phone", connected=True)))
    assert plan.queued == []
    plan.registers("ben", 3)
    assert plan.queued == ["ring ben-phone 5"]
    assert plan.rings("ben") == {"ben-phone": "sent"}


def test_15_a_device_that_is_woken_in_another_way_from_now_on_is_pushed_in_that_one():
    plan = Plan(asleep("ben"))
    old = plan.alert(AlertKind.RING)
    plan.pushed("ben", 1)
    plan.registers("ben", 3, provider=Provider.APNS)
    (new,) = [alert for alert in plan.alerts.values() if alert.kind is AlertKind.RING and alert is not old]
    assert (new.channel, new.due_at) == (Channel.APNS, at(3))
    assert verdict(plan.call, old, 1, at(10)) == Drop("the device is woken in another way now")
    assert verdict(plan.call, new, 0, at(3)) == Send()


def test_15_what_the_provider_before_refuses_does_not_fail_the_ring():
    plan = Plan(asleep("ben"))
    plan.registers("ben", 3, provider=Provider.APNS)
    plan.pushed("ben", 4, accepted=False, reason="Unregistered")
    assert (plan.heard, plan.rings("ben")) == (["notification.failed ben"], {"ben-phone": "queued"})
    plan.pushed("ben", 5, accepted=False, reason="Unregistered", channel=Channel.APNS)
    assert plan.rings("ben") == {"ben-phone": "failed"}


@pytest.mark.parametrize("reaction", [Ack, Silence])
def test_15_who_has_heard_of_the_ring_is_left_alone_when_it_registers(reaction):
    plan = Plan(asleep("ben", "phone", "tablet"))
    plan.do(reaction, "ben", 1, device="phone")
    plan.registers("ben", 3, "phone", provider=Provider.APNS)
    assert not plan.changed
    plan.registers("ben", 3, "third")
    assert plan.queued == ([] if reaction is Silence else ["ring third 3"])


def test_15_nobody_is_rung_by_registering_without_push_or_where_nothing_rings():
    plan = Plan(asleep("ben"))
    plan.registers("ben", 3, "tablet", provider=None)
    assert not plan.changed
    noted = Plan(asleep("ben"), policy=Policy(notify_only=True))
    noted.registers("ben", 3, "tablet")
    assert not noted.changed


def test_17_nothing_was_ever_taken_so_the_user_was_unreachable():
    plan = Plan(asleep("ben"))
    plan.pushed("ben", 1, accepted=False, reason="Unregistered")
    plan.settle(60)
    assert plan.ends == ("ended", "unreachable")


@pytest.mark.parametrize(
    ("kind", "who", "reason"),
    [(Answer, "ben", "answered_elsewhere"), (Decline, "ben", "declined_elsewhere"), (Cancel, "ann", "canceled")],
)
def test_5_7_10_whoever_was_woken_by_a_push_is_told_by_one_that_it_is_over(kind, who, reason):
    plan = Plan(asleep("ben", "phone", "tablet", "never"))
    plan.pushed("ben", 1, "phone")
    plan.pushed("ben", 1, "tablet")
    plan.do(kind, who, 5, device="phone" if who == "ben" else "ann-phone")
    stops = [spoken_alert for spoken_alert in plan.queued if spoken_alert.startswith("stop")]
    assert stops == (["stop tablet 5"] if who == "ben" else ["stop phone 5", "stop tablet 5"])
    assert plan.rings("ben")["tablet"] == reason
    assert plan.says(AlertKind.STOP, 6, device="tablet") == Send()
    assert plan.says(AlertKind.STOP, 65, device="tablet") == Drop("it came too late")
    assert isinstance(plan.says(AlertKind.RING, 10, device="never"), Drop)


def test_19_what_a_provider_took_after_the_end_is_taken_back():
    plan = Plan(asleep("ben"))
    plan.do(Cancel, "ann", 5)
    assert [alert for alert in plan.queued if alert.startswith("stop")] == []
    plan.pushed("ben", 6)
    assert plan.heard == []
    assert plan.queued == ["stop ben-phone 6"]
    plan.pushed("ben", 7, number=2)
    assert plan.queued == ["stop ben-phone 7"]
    plan.pushed("ben", 7, number=2)
    assert plan.queued == []


def test_19_a_second_push_that_was_taken_after_the_stop_is_taken_back_too():
    plan = Plan(asleep("ben"))
    plan.pushed("ben", 1)
    plan.do(Cancel, "ann", 11)
    assert plan.queued == ["stop ben-phone 11", "missed ben 11"]
    plan.pushed("ben", 12, number=2)
    assert plan.queued == ["stop ben-phone 12"]


def test_19_what_a_provider_has_perhaps_taken_is_taken_back_and_makes_nobody_reachable():
    plan = Plan(asleep("ben"))
    plan.perhaps("ben", 8)
    assert (plan.heard, plan.queued, plan.rings("ben")) == ([], [], {"ben-phone": "queued"})
    assert plan.says(AlertKind.RING, 9) == Send()
    plan.settle(60)
    assert plan.ends == ("ended", "unreachable")
    assert plan.queued == ["stop ben-phone 60", "missed ben 60"]


def test_19_a_push_of_which_nothing_is_known_after_the_end_is_taken_back():
    plan = Plan(asleep("ben"))
    plan.do(Cancel, "ann", 5)
    plan.perhaps("ben", 9)
    assert (plan.heard, plan.queued, plan.leg("ben").rings[0].sent_at) == ([], ["stop ben-phone 9"], None)


def test_19_a_device_that_perhaps_rings_is_stopped_also_where_its_next_push_failed():
    plan = Plan(asleep("ben"))
    plan.perhaps("ben", 8)
    plan.pushed("ben", 20, accepted=False, reason="unavailable")
    assert (plan.heard, plan.rings("ben")) == (["notification.failed ben"], {"ben-phone": "queued"})
    plan.do(Cancel, "ann", 30)
    assert "stop ben-phone 30" in plan.queued


def test_14_10_20_27_every_way_of_missing_is_told_to_the_user_s_devices():
    timed_out = Plan(asleep("ben"))
    timed_out.settle(60)
    assert timed_out.queued == ["missed ben 60"]
    canceled = Plan(asleep("ben"))
    canceled.do(Cancel, "ann", 3)
    assert canceled.queued == ["missed ben 3"]
    busy = Plan(person("ben", Given("ben-phone", provider=FCM), busy=True))
    assert busy.queued == ["missed ben 0"]
    disturbed = Plan(person("ben", Given("ben-phone", provider=FCM), do_not_disturb=True))
    assert disturbed.queued == ["missed ben 0"]
    declined = Plan(asleep("ben"))
    declined.do(Decline, "ben", 3)
    assert declined.queued == []


def test_an_app_may_do_without_missed_call_pushes():
    plan = Plan(asleep("ben"), policy=Policy(missed_push=False))
    plan.settle(60)
    assert plan.queued == []


def test_a_missed_call_is_not_told_to_somebody_who_is_being_called_again():
    plan = Plan(asleep("ben"), asleep("cy"))
    plan.do(Decline, "ben", 3, reason=DeclineReason.NO_ANSWER)
    assert plan.queued == ["missed ben 3"]
    plan.command(Invite(API, people=(asleep("ben"),)), 4)
    assert plan.says(AlertKind.MISSED, 5) == Drop("the user was invited again")
    assert plan.queued == ["ring ben-phone 4"]


def test_35_a_stop_does_not_come_between_when_the_same_device_rings_again():
    plan = Plan(asleep("ben"), asleep("cy"))
    plan.pushed("ben", 1)
    plan.do(Decline, "ben", 3, device="ben-tablet", reason=DeclineReason.NO_ANSWER)
    assert plan.says(AlertKind.STOP, 3) == Send()
    plan.command(Invite(API, people=(asleep("ben"),)), 4)
    assert plan.says(AlertKind.STOP, 5) == Drop("the device rings again")
    plan.do(Decline, "ben", 6, device="ben-phone")
    assert plan.says(AlertKind.STOP, 7) == Send()


def test_somebody_who_is_only_notified_gets_one_push_and_no_ring():
    plan = Plan(asleep("ben"), policy=Policy(notify_only=True))
    assert plan.queued == ["notify ben 0"]
    assert plan.says(AlertKind.NOTIFY, 1) == Send()
    plan.do(Decline, "ben", 3)
    assert plan.says(AlertKind.NOTIFY, 4) == Drop("the call has ended: declined")


LADDER = Policy(fallback=(Rung(Channel.EMAIL, 15), Rung(Channel.MESSAGE, 30)))


def test_the_ladder_waits_for_an_acknowledgement():
    plan = Plan(asleep("ben"), policy=LADDER)
    assert plan.queued == ["ring ben-phone 0", "fallback email 15", "fallback message 30"]
    email = next(alert for alert in plan.alerts.values() if alert.channel is Channel.EMAIL)
    assert verdict(plan.call, email, 0, at(15)) == Send()
    plan.do(Ack, "ben", 16)
    assert verdict(plan.call, email, 0, at(17)) == Drop("a device has acknowledged")


def test_17_without_any_device_the_ladder_begins_at_once_and_keeps_the_call_from_unreachable():
    plan = Plan(nobody_home("ben"), policy=LADDER)
    assert plan.queued == ["fallback email 0", "fallback message 30"]
    plan.command(FellBack(SERVER, "ben", channel=Channel.EMAIL, provider_id="m1"), 1)
    assert plan.heard == ["notification.fallback ben"]
    assert plan.call.state == "dialing"
    plan.settle(60)
    assert plan.ends == ("ended", "no_answer")


def test_a_fallback_that_nobody_took_makes_nobody_reachable():
    plan = Plan(nobody_home("ben"), policy=LADDER)
    plan.command(FellBack(SERVER, "ben", channel=Channel.EMAIL, accepted=False, reason="550"), 1)
    plan.settle(60)
    assert plan.ends == ("ended", "unreachable")


def test_57_the_last_device_is_unregistered_so_the_ladder_begins():
    plan = Plan(asleep("ben", "phone", "tablet"), policy=LADDER)
    plan.do(DeviceRemoved, "ben", 3, device="phone")
    assert plan.queued == []
    plan.do(DeviceRemoved, "ben", 4, device="tablet")
    (email,) = [a for a in alerts_of(Plan(asleep("ben", "tablet")).call, plan.call, ()) if a.channel is Channel.EMAIL]
    assert email.due_at == at(4)


def test_the_last_device_failed_so_the_ladder_begins():
    plan = Plan(asleep("ben"), policy=LADDER)
    before = plan.call
    plan.pushed("ben", 3, accepted=False, reason="Unregistered")
    assert {spoken(a) for a in alerts_of(before, plan.call, plan.news)} == {"fallback email 3", "fallback message 30"}


def test_17_an_app_that_pushes_nobody_begins_its_ladder_at_once():
    plan = Plan(asleep("ben"), policy=replace(LADDER, realert_s=()))
    assert plan.queued == ["fallback email 0", "fallback message 30"]
    on_socket = Plan(person("ben", Given("page", connected=True)), policy=replace(LADDER, realert_s=()))
    assert on_socket.queued == ["fallback email 15", "fallback message 30"]


def test_8_a_silenced_device_is_not_woken_again():
    plan = Plan(asleep("ben", "phone", "tablet"))
    plan.pushed("ben", 1, "phone")
    plan.do(Silence, "ben", 2, device="phone")
    assert plan.says(AlertKind.RING, 10, taken=1, device="phone") == Drop("the user has silenced it")
    assert {ring.state for ring in plan.leg("ben").rings} == {RingState.SILENCED}


def test_8_whoever_was_woken_is_told_to_be_quiet_but_for_the_device_that_was_silenced():
    plan = Plan(asleep("ben", "phone", "tablet", "watch"))
    plan.pushed("ben", 1, "phone")
    plan.pushed("ben", 1, "tablet")
    plan.do(Silence, "ben", 2, device="phone")
    assert plan.queued == ["silence tablet 2"]
    assert plan.says(AlertKind.SILENCE, 3, device="tablet") == Send()
    assert plan.alert(AlertKind.SILENCE).until == at(60)
    plan.do(Silence, "ben", 4, device="tablet")
    assert plan.queued == []
    plan.pushed("ben", 5, "watch")
    assert plan.queued == ["silence watch 5"], "its push was under way when the other one was silenced"
    plan.do(Cancel, "ann", 6)
    assert {line for line in plan.queued if "stop" in line} == {"stop phone 6", "stop tablet 6", "stop watch 6"}
    assert plan.says(AlertKind.SILENCE, 7, device="tablet") == Drop("the call has ended: canceled")


def test_8_a_device_that_was_unregistered_meanwhile_is_told_that_it_is_over_and_not_to_be_quiet():
    plan = Plan(asleep("ben", "phone", "tablet"))
    plan.pushed("ben", 1, "tablet")
    plan.do(Silence, "ben", 2, device="phone")
    plan.do(DeviceRemoved, "ben", 3, device="tablet")
    assert plan.queued == ["stop tablet 3"]
    assert plan.says(AlertKind.SILENCE, 4, device="tablet") == Drop("the device does not ring any more")


def test_nothing_rings_after_the_end_or_the_deadline():
    plan = Plan(asleep("ben"))
    ring = plan.alert(AlertKind.RING)
    assert verdict(plan.call, ring, 0, at(60)) == Drop("it came too late")
    plan.do(Cancel, "ann", 3)
    assert verdict(plan.call, ring, 0, at(4)) == Drop("the call has ended: canceled")


def test_soft_errors_are_tried_again_inside_the_ring_and_never_after_it():
    plan = Plan(asleep("ben"))
    ring = plan.alert(AlertKind.RING)
    assert [try_again(ring, at(0), failures) for failures in (1, 2, 3, 9)] == [at(1), at(2), at(4), at(4)]
    assert try_again(ring, at(0), 1, retry_after_s=30) == at(30)
    assert try_again(ring, at(57), 3) is None
    plan.settle(60)
    missed = plan.alert(AlertKind.MISSED)
    assert try_again(missed, at(61), 5) == at(61 + 3600)


def test_working_it_out_twice_gives_the_same_alerts():
    plan = Plan(asleep("ben", "phone", "tablet"), policy=LADDER)
    assert alerts_of(None, plan.call, plan.told) == list(plan.alerts.values())
