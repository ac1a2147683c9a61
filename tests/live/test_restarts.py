"""Devices are told when another media worker carries their call: once for each worker, and nobody else is."""

import pytest

from service.core.calls import Actor, Policy
from service.core.commands import Answer, Invite, Join, LoseRoom, MediaConnected, MediaUp, OpenRoom, Route
from service.core.vocabulary import ActorType, Topology
from tests.core.story import person
from tests.live.house import House, Tale

MEDIA = Actor(ActorType.MEDIA, "here")


@pytest.fixture
async def house():
    return House()


class Routed(Tale):
    """A routed call between ann and bob, whose first worker is there."""

    def __init__(self, *callees, **fields):
        super().__init__(*(callees or ("bob",)), **{"topology": Topology.ROUTED, **fields})
        self.do(Answer, "bob", 1)

    def opens(self, when, epoch=1):
        self.server(OpenRoom, when, by=MEDIA, host="here", epoch=epoch)

    def loses(self, when, epoch=1):
        self.server(LoseRoom, when, by=MEDIA, host=self.call.room.host, epoch=epoch)


async def test_the_first_worker_is_told_by_the_connection_alone(house):
    ann, bob = house.come("ann"), house.come("bob")
    tale = Routed()
    tale.opens(2)
    house.tell(*tale.turns)
    assert ann.restarts == bob.restarts == []


async def test_47_the_next_worker_is_told_to_the_devices_that_are_in_the_call(house):
    ann, bob, tablet = house.come("ann"), house.come("bob"), house.come("bob", "bob-tablet")
    tale = Routed()
    tale.opens(2)
    tale.loses(3)
    house.tell(*tale.turns)
    assert ann.restarts == []  # nobody carries it yet
    tale.opens(4, 2)
    tale.do(MediaUp, "bob", 5, epoch=2, number=1)
    house.tell(*tale.turns[-2:])
    assert ann.restarts == bob.restarts == [2]
    assert tablet.restarts == []


async def test_a_worker_that_was_lost_before_anybody_knew_it_is_told_too(house):
    ann = house.come("ann")
    tale = Routed()
    house.tell(*tale.turns)
    tale.loses(2)
    tale.opens(3, 2)
    house.tell(tale.last)
    assert ann.restarts == [2]


async def test_b_12_devices_of_a_call_that_grew_are_told_of_its_first_worker(house):
    ann, bob, carl = (house.come(user) for user in ("ann", "bob", "carl"))
    tale = Tale("bob", policy=Policy(may_route=True, max_participants=12))
    tale.do(Answer, "bob", 1)
    tale.do(MediaConnected, "ann", 2, peer="bob")
    tale.do(MediaConnected, "bob", 2, peer="ann")
    tale.command(Invite(Actor(ActorType.USER, "ann"), (person("carl"),), "ann"), 3)
    tale.do(Answer, "carl", 4)
    house.tell(*tale.turns)
    assert ann.restarts == []
    tale.server(OpenRoom, 5, by=MEDIA, host="here", epoch=1)
    house.tell(tale.last)
    assert ann.restarts == bob.restarts == [1]
    assert carl.restarts == []


async def test_whoever_comes_to_a_later_worker_has_its_connection_already(house):
    tale = Routed("bob", "carl")
    tale.opens(2)
    tale.loses(3)
    tale.opens(4, 2)
    carl = house.come("carl")
    tale.do(Join, "carl", 5)
    house.tell(*tale.turns)
    assert carl.restarts == []


async def test_a_device_that_was_away_is_told_when_it_comes_back(house):
    tale = Routed()
    tale.opens(2)
    first = house.come("ann", standing=[tale.heard_since(tale.call.seq)])
    assert first.restarts == []
    tale.loses(3)
    tale.opens(4, 2)
    again = house.come("ann", standing=[tale.heard_since(tale.call.seq)])
    assert again.restarts == [2]
    house.tell(tale.last)
    assert again.restarts == [2]


async def test_b_12_a_device_that_was_away_when_the_call_moved_is_told_when_it_comes_back(house):
    tale = Tale("bob", policy=Policy(may_route=True, max_participants=12))
    tale.do(Answer, "bob", 1)
    tale.do(MediaConnected, "ann", 2, peer="bob")
    tale.do(MediaConnected, "bob", 2, peer="ann")
    tale.server(Route, 3)
    tale.server(OpenRoom, 3, by=MEDIA, host="here", epoch=1)
    ann = house.come("ann", standing=[tale.heard_since(tale.call.seq)])
    assert ann.restarts == [1]
    tale.command(MediaUp(MEDIA, "ann", "ann-phone", epoch=1, number=1), 4)
    again = house.come("ann", standing=[tale.heard_since(tale.call.seq)])
    assert again.restarts == []


async def test_a_call_that_waits_for_a_worker_is_worth_a_look(house):
    house.come("ann")
    tale = Routed()
    house.tell(*tale.turns)
    assert [str(call_id) for call_id in house.hub.ringing()] == [tale.call.id]
    tale.opens(2)
    house.tell(tale.last)
    assert house.hub.ringing() == []
