"""Each alert gets one ring and one stop, whatever happened in between."""

import pytest

from service.core.calls import Actor
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    Device,
    DeviceConnected,
    DeviceRemoved,
    Join,
    MediaConnected,
    Silence,
)
from service.core.vocabulary import ActorType, Provider
from tests.core.story import person
from tests.live.house import House, Tale


@pytest.fixture
async def house():
    return House()


def with_two(user):
    return person(user, Device(f"{user}-phone", connected=True), Device(f"{user}-tablet", connected=True))


async def test_05_answered_on_one_device_the_other_stops(house):
    phone, tablet = house.come("bob"), house.come("bob", "bob-tablet")
    tale = Tale(with_two("bob"))
    tale.do(Ack, "bob", 1)
    tale.do(Answer, "bob", 2)
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop answered_here"]
    assert tablet.alerts == ["ring bob-tablet", "ring.stop answered_elsewhere"]


async def test_07_declined_on_one_device_the_other_stops(house):
    phone, tablet = house.come("bob"), house.come("bob", "bob-tablet")
    tale = Tale(with_two("bob"))
    tale.do(Decline, "bob", 2)
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop declined_here"]
    assert tablet.alerts == ["ring bob-tablet", "ring.stop declined_elsewhere"]


async def test_08_silenced_devices_stop_the_noise_at_once_and_the_rest_when_the_ring_ends(house):
    phone, tablet = house.come("bob"), house.come("bob", "bob-tablet")
    tale = Tale(with_two("bob"))
    tale.do(Silence, "bob", 1)
    assert tale.last.envelopes == ()
    tale.do(Answer, "bob", 2)
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop silenced", "ring.stop answered_here"]
    assert tablet.alerts == ["ring bob-tablet", "ring.stop silenced", "ring.stop answered_elsewhere"]
    assert house.hub.ringing() == []


async def test_08_a_silenced_ring_that_goes_on_says_nothing_more(house):
    phone = house.come("bob")
    tale = Tale(with_two("bob"))
    tale.do(Silence, "bob", 1)
    tale.do(Ack, "bob", 2)
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop silenced"]
    tale.settle(61)
    house.tell(tale.last)
    assert phone.alerts == ["ring bob-phone", "ring.stop silenced", "ring.stop timed_out"]


async def test_08_who_comes_back_to_a_silenced_ring_is_told_when_it_ends(house):
    tale = Tale("bob")
    tale.do(Silence, "bob", 1)
    phone = house.come("bob", standing=[tale.heard_since()])
    assert phone.rings == []
    tale.do(Cancel, "ann", 2)
    house.tell(tale.last)
    assert phone.alerts == ["ring.stop canceled"]


async def test_09_a_canceled_call_stops(house):
    phone = house.come("bob")
    tale = Tale("bob")
    tale.do(Cancel, "ann", 1)
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop canceled"]


async def test_14_the_deadline_stops(house):
    phone = house.come("bob")
    tale = Tale("bob")
    tale.settle(61)
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop timed_out"]


async def test_57_an_unregistered_device_stops_and_is_not_rung_again(house):
    phone = house.come("bob")
    tale = Tale(with_two("bob"))
    tale.do(DeviceRemoved, "bob", 1, device="bob-phone")
    tale.do(Ack, "bob", 2, device="bob-tablet")
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop canceled"]
    assert house.asked == []


async def test_a_ring_that_was_over_before_it_was_told_says_nothing(house):
    phone = house.come("bob")
    tale = Tale("bob")
    tale.do(Cancel, "ann", 1)
    house.hub.caught_up(tale.heard_since())
    assert phone.alerts == []


async def test_an_older_state_of_the_call_changes_nothing(house):
    phone = house.come("bob")
    tale = Tale("bob")
    tale.do(Silence, "bob", 1)
    house.tell(tale.turns[1], tale.turns[0])
    assert phone.alerts == []
    assert phone.seqs == [1, 2]


async def test_35_the_next_attempt_rings_again(house):
    carl = house.come("carl")
    tale = Tale("bob", "carl")
    tale.do(Answer, "bob", 1)
    tale.do(Decline, "carl", 2)
    tale.invite(3, "carl")
    house.tell(*tale.turns)
    assert carl.alerts == ["ring carl-phone", "ring.stop declined_here", "ring carl-phone"]
    assert carl.outlet.sent[-2]["type"] == "ring" or carl.outlet.sent[-1]["type"] == "event"


async def test_the_welcome_s_rings_are_not_told_again_but_stopped(house):
    tale = Tale("bob")
    tale.do(Ack, "bob", 1)
    phone = house.come("bob", standing=[tale.heard_since()])
    assert phone.rings == ["bob-phone"]
    tale.do(Answer, "bob", 2)
    house.tell(tale.last)
    assert phone.alerts == ["ring.stop answered_here"]


async def test_43_the_replaced_device_is_told_and_only_it(house):
    phone, tablet = house.come("bob"), house.come("bob", "bob-tablet")
    tale = Tale("bob")
    tale.do(Answer, "bob", 1)
    tale.do(MediaConnected, "bob", 2)
    tale.do(Join, "bob", 3, device="bob-tablet")
    house.tell(*tale.turns)
    assert phone.alerts == ["ring bob-phone", "ring.stop answered_here", "call.replaced bob-tablet"]
    assert tablet.alerts == []


async def test_43_also_when_the_session_began_in_the_call(house):
    tale = Tale("bob")
    tale.do(Answer, "bob", 1)
    phone = house.come("bob", standing=[tale.heard_since()])
    tale.do(Join, "bob", 3, device="bob-tablet")
    house.tell(tale.last)
    assert phone.alerts == ["call.replaced bob-tablet"]


async def test_a_session_that_ends_the_call_is_not_replaced(house):
    tale = Tale("bob")
    tale.do(Answer, "bob", 1)
    phone = house.come("bob", standing=[tale.heard_since()])
    tale.do(Cancel, "ann", 3)
    house.tell(tale.last)
    assert phone.alerts == []


async def test_calls_that_ring_here_are_looked_at_by_version(house):
    house.come("bob")
    tale = Tale("bob")
    house.tell(*tale.turns)
    assert [str(call_id) for call_id in house.hub.ringing()] == [tale.call.id]
    assert house.hub.behind(tale.call.id, tale.call.version) is None
    assert house.hub.behind(tale.call.id, tale.call.version + 1) == tale.call.seq
    tale.command(DeviceConnected(Actor(ActorType.DEVICE, "x"), "bob", "x"), 2)
    tale.do(Answer, "bob", 3)
    house.tell(*tale.turns[1:])
    assert house.hub.ringing() == []


async def test_a_guest_hears_the_call_and_is_not_rung_whatever_device_it_says_that_it_is(house):
    """T-03: the ring of a registered device, with its action token, is not told to a guest of that name."""
    tale = Tale(person("bob", Device("bob-phone", provider=Provider.FCM), Device("bob-tablet", connected=True)))
    guest = house.come("bob", standing=[tale.heard_since()], guest=True)
    newcomer = house.come("bob", "bob-tablet", guest=True)
    house.tell(*tale.turns)
    tale.do(Cancel, "ann", 3)
    house.tell(tale.last)
    assert guest.rings == newcomer.rings == []
    assert guest.alerts == newcomer.alerts == []
    assert house.asked == []
    assert newcomer.heard[-1][1] == "call.ended"
