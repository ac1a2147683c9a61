"""A relayed call moves to a media worker: with a third one in, or because somebody needs the worker."""

from service.core.calls import Policy
from service.core.commands import (
    Answer,
    DeviceConnected,
    DeviceDisconnected,
    MediaConnected,
    MediaLost,
    MediaUp,
    OpenRoom,
    Route,
)
from service.core.robots import TEST_DEVICE
from service.core.vocabulary import Topology
from tests.core.story import Story, at, person, phone, talking
from tests.core.world import MEDIA

GROWS = Policy(may_route=True, max_participants=12)


def grown(**fields):
    """Ann and Ben talk directly; Cem is invited at second 5 and answers at second 8."""
    story = talking("ben", policy=GROWS, **fields)
    story.invite(5, person("cem"))
    story.do(Answer, "cem", 8)
    return story


def test_a_call_moves_to_a_worker_when_the_third_is_in():
    story = talking("ben", policy=GROWS)
    story.invite(5, person("cem"))
    assert story.call.topology is Topology.RELAYED
    story.do(Answer, "cem", 8)
    assert story.heard == ["participant.answered cem", "call.updated"]
    assert story.call.topology is Topology.ROUTED
    assert story.call.room.since == at(8)
    assert story.state("ann") == story.state("ben") == "connected"


def test_a_call_that_was_asked_to_be_relayed_stays_so():
    story = talking("ben")
    story.invite(5, person("cem"))
    story.do(Answer, "cem", 8)
    assert story.call.topology is Topology.RELAYED
    assert story.call.room is None


def test_media_between_the_clients_ends_with_the_move_and_nobody_is_lost():
    story = grown()
    story.do(MediaLost, "ann", 9, peer="ben")
    assert story.state("ann") == "connected"
    story.server(OpenRoom, 9, by=MEDIA, host="here", epoch=1)
    for number, user in enumerate(("ann", "ben", "cem"), 1):
        story.command(MediaUp(MEDIA, user, phone(user), epoch=1, number=number), 10)
    assert all(leg.moved_at is None and leg.state == "connected" for leg in story.call.legs)


def test_who_never_comes_to_the_worker_is_reconnecting_and_then_lost():
    story = grown()
    story.server(OpenRoom, 9, by=MEDIA, host="here", epoch=1)
    for number, user in enumerate(("ann", "cem"), 1):
        story.command(MediaUp(MEDIA, user, phone(user), epoch=1, number=number), 10)
    assert story.due == 38
    story.settle(38)
    assert story.heard == ["participant.reconnecting ben"]
    story.settle(68)
    assert story.leg("ben").end_reason == "connection_lost"
    assert not story.call.ended


def test_two_move_to_a_worker_when_somebody_needs_it():
    story = talking("ben", policy=GROWS)
    assert story.server(Route, 5) is None
    assert story.heard == ["call.updated"]
    assert story.news[0].details == {"change": "topology", "topology": "routed"}
    assert (story.call.topology, story.call.room.since) == (Topology.ROUTED, at(5))
    assert [leg.moved_at for leg in story.call.legs] == [at(5), at(5)]
    assert story.ends == ("active", None)
    assert story.server(Route, 6) is None
    assert not story.changed


def test_a_call_that_rings_moves_before_anybody_has_answered():
    story = Story("ben", policy=GROWS)
    story.server(Route, 1)
    assert (story.call.topology, story.call.room) == (Topology.ROUTED, None)
    story.do(Answer, "ben", 2)
    assert story.call.room.since == at(2)


def test_44_what_a_client_said_before_the_move_does_not_stand_for_the_worker():
    story = Story("ben", policy=GROWS)
    story.do(MediaConnected, "ann", 1)
    story.server(Route, 1)
    story.do(Answer, "ben", 2)
    story.server(OpenRoom, 2, by=MEDIA, host="here", epoch=1)
    assert story.state("ann") == "answered"
    story.settle(32)
    assert story.ends == ("ended", "connect_timeout")


def test_39_who_was_away_during_the_move_comes_back_by_the_worker():
    story = talking("ben", policy=GROWS)
    story.do(DeviceDisconnected, "ben", 4)
    story.server(Route, 5)
    story.do(DeviceConnected, "ben", 6)
    assert story.state("ben") == "reconnecting"
    story.server(OpenRoom, 6, by=MEDIA, host="here", epoch=1)
    story.command(MediaUp(MEDIA, "ben", phone("ben"), epoch=1, number=1), 7)
    assert story.heard == ["participant.reconnected ben"]


def test_39_who_was_away_for_the_rest_of_the_move_comes_back_by_the_worker_too():
    story = grown()
    story.server(OpenRoom, 9, by=MEDIA, host="here", epoch=1)
    for number, user in enumerate(("ann", "cem"), 1):
        story.command(MediaUp(MEDIA, user, phone(user), epoch=1, number=number), 10)
    story.do(DeviceDisconnected, "ben", 20)
    assert story.due == 38
    story.settle(38)
    assert (story.heard, story.due) == ([], 50)
    story.do(DeviceConnected, "ben", 40)
    assert (story.state("ben"), story.heard) == ("reconnecting", [])
    story.command(MediaUp(MEDIA, "ben", phone("ben"), epoch=1, number=3), 45)
    assert story.heard == ["participant.reconnected ben"]


def test_39_who_is_back_before_the_move_is_over_has_the_rest_of_its_time():
    story = grown()
    story.server(OpenRoom, 9, by=MEDIA, host="here", epoch=1)
    story.do(DeviceDisconnected, "ben", 20)
    story.do(DeviceConnected, "ben", 30)
    assert (story.state("ben"), story.due) == ("connected", 38)


def test_a_robot_is_connected_without_the_worker():
    story = Story("test:answer", policy=GROWS)
    story.do(Answer, "test:answer", 1, device=TEST_DEVICE)
    story.do(MediaConnected, "test:answer", 1, device=TEST_DEVICE)
    story.server(Route, 2)
    assert story.state("test:answer") == "connected"
    assert story.leg("test:answer").moved_at is None


def test_a_late_report_of_media_between_the_clients_does_not_end_the_move():
    story = grown()
    story.do(MediaConnected, "ann", 9, peer="ben")
    assert not story.changed
    assert story.leg("ann").moved_at == at(8)
