"""Stories of routed calls: a room on a media worker, its reports, its death, and the call that outgrows its clients."""

import pytest

from service.core.calls import Stream
from service.core.commands import (
    Answer,
    DeviceConnected,
    DeviceDisconnected,
    End,
    FailRoom,
    HangUp,
    Join,
    LoseRoom,
    MediaConnected,
    MediaDown,
    MediaLost,
    MediaUp,
    OpenRoom,
    Remove,
    StreamChanged,
    StreamCreated,
    StreamDestroyed,
)
from service.core.robots import TEST_DEVICE
from service.core.routing import topology_for
from service.core.settings import AppSettings, policy_of
from service.core.vocabulary import LegState, Topology
from tests.core.story import Story, at, phone, talking
from tests.core.world import MEDIA

CAMERA = Stream("s-1", "video", "camera", "VP8", layers=["low", "high"])
SCREEN = Stream("s-2", "video", "screen", "VP8")


class Routed(Story):
    """A routed call whose worker reports with numbers of its own."""

    def __init__(self, *callees, **fields):
        super().__init__(*callees, **{"topology": Topology.ROUTED, **fields})
        self.number = 0

    def opens(self, when, host="here", epoch=1, **fields):
        return self.server(OpenRoom, when, by=MEDIA, host=host, epoch=epoch, **fields)

    def loses(self, when, host="here", epoch=1):
        return self.server(LoseRoom, when, by=MEDIA, host=host, epoch=epoch)

    def fails(self, when, host="here", epoch=1):
        return self.server(FailRoom, when, by=MEDIA, host=host, epoch=epoch)

    def report(self, kind, user, when, *, device="", epoch=None, number=None, **fields):
        self.number += 1
        device = phone(user) if device == "" else device
        epoch = epoch or (self.call.room.epoch if self.call.room else 1)
        return self.command(kind(MEDIA, user, device, epoch=epoch, number=number or self.number, **fields), when)


def answered(*callees, **fields):
    """Everybody has answered by second 2 and a worker carries the call."""
    story = Routed(*(callees or ("ben",)), **fields)
    for leg in story.call.callees():
        story.do(Answer, leg.user_id, 2)
    assert story.opens(2) is None
    return story


def up(*callees, **fields):
    """Everybody is connected by second 3."""
    story = answered(*callees, **fields)
    for leg in story.call.legs:
        story.report(MediaUp, leg.user_id, 3)
    assert story.ends == ("active", None)
    return story


@pytest.mark.parametrize(
    ("asked", "people", "workers", "is_to_be"),
    [
        (None, 2, True, "relayed"),
        (None, 3, True, "routed"),
        (None, 12, False, "relayed"),
        (Topology.RELAYED, 4, True, "relayed"),
        (Topology.ROUTED, 2, True, "routed"),
    ],
)
def test_auto_is_relayed_for_two_and_routed_from_three_on(asked, people, workers, is_to_be):
    assert topology_for(asked, people, workers=workers) == is_to_be


@pytest.mark.parametrize(
    ("topology", "may_route", "limit"), [("relayed", False, 4), ("relayed", True, 12), ("routed", False, 12)]
)
def test_as_many_may_be_in_as_the_call_can_come_to_carry(topology, may_route, limit):
    policy = policy_of(AppSettings(), Topology(topology), may_route=may_route)
    assert (policy.max_participants, policy.may_route) == (limit, may_route)


def test_a_room_is_wanted_from_the_first_answer_on():
    story = Routed("ben")
    assert story.call.room is None
    story.do(Answer, "ben", 2)
    room = story.call.room
    assert (room.epoch, room.host, room.seen, room.since) == (1, None, 0, at(2))


def test_a_relayed_call_never_wants_one():
    assert talking("ben").call.room is None


def test_the_workers_word_connects_and_makes_the_call_active():
    story = answered()
    assert story.report(MediaUp, "ann", 3) is None
    assert story.heard == ["participant.joined ann"]
    assert story.news[0].cause.kind == "report"
    assert story.news[0].cause.name == "media_up"
    story.report(MediaUp, "ben", 3)
    assert story.heard == ["participant.joined ben", "call.active"]


def test_44_answered_but_never_in_the_media():
    story = answered()
    story.report(MediaUp, "ann", 3)
    story.settle(32)
    assert story.ends == ("ended", "connect_timeout")
    assert story.call.talk_ms == 0


def test_45_in_and_out_again_in_a_moment():
    story = up("ben", "cem")
    story.report(MediaDown, "ben", 3.2)
    assert story.heard == ["participant.reconnecting ben"]
    story.do(HangUp, "ben", 3.3)
    assert story.heard == ["participant.left ben"]


def test_46_reports_twice_or_out_of_order_are_dropped():
    story = up()
    story.report(MediaDown, "ben", 4, number=9)
    assert story.state("ben") == "reconnecting"
    story.report(MediaUp, "ben", 5, number=9)
    assert not story.changed
    story.report(MediaUp, "ben", 5, number=8)
    assert not story.changed
    story.report(MediaUp, "ben", 5, number=10)
    assert story.heard == ["participant.reconnected ben"]


def test_46_reports_of_another_epoch_are_dropped():
    story = up()
    story.loses(4)
    story.opens(5, epoch=2)
    story.report(MediaUp, "ben", 5, epoch=1, number=99)
    assert not story.changed
    story.report(MediaUp, "ben", 5, epoch=2, number=1)
    assert story.state("ben") == "connected"


def test_a_report_of_a_device_that_is_not_in_the_call_changes_no_leg():
    story = answered()
    story.report(MediaUp, "ben", 3, device="ben-tablet")
    assert story.heard == []
    assert story.state("ben") == "answered"


@pytest.mark.parametrize("kind", [MediaUp, MediaDown, StreamCreated, StreamChanged, StreamDestroyed])
def test_a_report_before_there_is_a_room_has_no_effect(kind):
    story = Routed("ben")
    story.report(kind, "ann", 1)
    assert not story.changed


def test_47_the_worker_dies_and_another_one_takes_over():
    story = up("ben", "cem")
    story.report(StreamCreated, "ben", 4, stream=CAMERA)
    story.loses(5)
    assert story.heard == [
        "participant.reconnecting ann",
        "stream.destroyed ben",
        "participant.reconnecting ben",
        "participant.reconnecting cem",
    ]
    room = story.call.room
    assert (room.epoch, room.host, room.seen, room.since) == (2, None, 0, at(5))
    assert story.opens(6, epoch=2) is None
    story.report(MediaUp, "ann", 7, number=1)
    assert story.heard == ["participant.reconnected ann"]


def test_47_told_twice_of_the_same_death_loses_one_room():
    story = up()
    story.loses(5)
    story.loses(6)
    assert not story.changed
    assert story.call.room.epoch == 2


def test_47_59_the_loss_of_a_worker_that_somebody_else_took_over_is_no_loss():
    story = up()
    story.opens(5, host="after the restart", adopts=True)
    story.loses(6)
    assert not story.changed
    story.fails(6)
    assert not story.changed
    story.loses(7, host="after the restart")
    assert story.call.room.epoch == 2


def dying(*deaths):
    """A call whose workers die at these seconds, each replaced at once."""
    story = up()
    for epoch, when in enumerate(deaths, 1):
        story.loses(when, epoch=epoch)
        story.opens(when, epoch=epoch + 1)
        if not story.call.ended:
            story.report(MediaUp, "ann", when, number=1)
            story.report(MediaUp, "ben", when, number=2)
    return story


def test_47_a_call_whose_workers_die_again_and_again_ends():
    assert dying(10, 30).ends == ("active", None)
    assert dying(10, 30, 69).ends == ("ended", "media_failed")


def test_47_deaths_that_lie_apart_do_not_count_together():
    story = dying(10, 30, 71, 130.5)
    assert story.ends == ("active", None)
    assert story.call.room.epoch == 5


def test_47_who_had_no_media_yet_goes_on_waiting_for_it():
    story = answered()
    story.loses(5)
    assert story.heard == []
    assert story.state("ben") == "answered"


def test_47_no_worker_can_be_had_any_more():
    story = up()
    story.loses(5)
    story.opens(5, epoch=2)
    story.fails(6, epoch=2)
    assert story.ends == ("ended", "media_failed")
    assert story.call.ended_by == MEDIA


def test_47_nobody_takes_the_room():
    story = up()
    story.loses(5)
    assert story.due == 20
    story.settle(25)
    assert story.ends == ("ended", "media_failed")
    assert story.news[0].late_by_ms == 5000


def test_48_the_worker_cannot_start():
    story = Routed("ben")
    story.do(Answer, "ben", 2)
    story.opens(2)
    story.fails(3)
    assert story.ends == ("ended", "media_failed")
    assert story.leg("ben").answered_at == at(2)
    assert {leg.state for leg in story.call.legs} == {LegState.FAILED}


def test_48_an_old_failure_ends_nothing():
    story = up()
    story.loses(5)
    story.fails(6)
    assert not story.changed


def test_59_of_two_replicas_the_first_has_the_room():
    story = answered()
    assert story.opens(3, host="there") == "media_unavailable"
    assert story.opens(3, host="here") is None
    assert not story.changed
    assert story.opens(3, epoch=2) == "media_unavailable"


def test_59_a_restarted_service_takes_its_worker_back():
    story = up()
    assert story.opens(10, host="after the restart", adopts=True) is None
    assert story.call.room.host == "after the restart"
    assert story.state("ben") == "connected"
    story.report(MediaDown, "ben", 11)
    assert story.state("ben") == "reconnecting"


def test_59_a_call_that_ended_meanwhile_takes_nothing_back():
    story = up()
    story.server(End, 5)
    assert story.opens(10, host="after the restart", adopts=True) == "call_ended"


def test_a_call_without_a_room_takes_no_worker():
    story = talking("ben")
    assert story.server(OpenRoom, 3, by=MEDIA, host="here", epoch=1) == "media_unavailable"


def test_39_media_is_lost_and_does_not_come_back():
    story = up()
    story.report(MediaDown, "ben", 10)
    assert story.due == 40
    story.settle(40)
    assert story.ends == ("ended", "connection_lost")


def test_39_a_socket_that_is_back_does_not_stand_for_media():
    story = up()
    story.do(DeviceDisconnected, "ben", 10)
    story.report(MediaDown, "ben", 11)
    story.do(DeviceConnected, "ben", 12)
    assert story.state("ben") == "reconnecting"
    story.report(MediaUp, "ben", 13)
    assert story.heard == ["participant.reconnected ben"]


def test_43_another_device_takes_over_and_the_old_ones_streams_end():
    story = up()
    story.report(StreamCreated, "ben", 4, stream=CAMERA)
    story.do(Join, "ben", 5, device="ben-tv")
    assert story.heard == ["stream.destroyed ben", "call.updated ben"]
    story.report(MediaDown, "ben", 6)
    assert story.state("ben") == "answered", "the old device's end is nobody's loss"
    story.report(MediaUp, "ben", 6, device="ben-tv")
    assert story.state("ben") == "connected"


def test_37_who_left_comes_back_by_the_same_room():
    story = up("ben", "cem")
    story.do(HangUp, "ben", 5)
    story.do(Join, "ben", 6)
    assert story.call.room.epoch == 1
    story.report(MediaUp, "ben", 7)
    assert story.state("ben") == "connected"


def test_38_who_was_removed_publishes_nothing_any_more():
    story = up("ben", "cem")
    story.report(StreamCreated, "ben", 4, stream=CAMERA)
    story.server(Remove, 5, target="ben")
    assert story.heard == ["stream.destroyed ben", "participant.removed ben"]
    story.report(StreamCreated, "ben", 6, stream=SCREEN)
    assert story.heard == []


def test_streams_are_told_from_their_first_packet_to_their_end():
    story = up()
    story.report(StreamCreated, "ben", 4, stream=CAMERA)
    assert story.heard == ["stream.created ben"]
    assert story.news[0].details["stream"]["stream_id"] == "s-1"
    muted = Stream("s-1", "video", "camera", "VP8", layers=["low", "high"], muted=True)
    story.report(StreamChanged, "ben", 5, stream=muted)
    assert story.heard == ["stream.changed ben"]
    assert story.leg("ben").streams == [muted]
    story.report(StreamDestroyed, "ben", 6, stream=CAMERA)
    assert story.heard == ["stream.destroyed ben"]
    assert story.leg("ben").streams == []


def test_a_stream_is_created_once_changed_only_by_a_change_and_destroyed_once():
    story = up()
    for kind in (StreamChanged, StreamDestroyed):
        story.report(kind, "ben", 4, stream=CAMERA)
        assert story.heard == []
    story.report(StreamCreated, "ben", 4, stream=CAMERA)
    for kind in (StreamCreated, StreamChanged):
        story.report(kind, "ben", 5, stream=CAMERA)
        assert story.heard == []


def test_nobody_publishes_without_end():
    story = up()
    for number in range(20):
        story.report(StreamCreated, "ben", 4, stream=Stream(f"s{number}", "video", "other"))
    assert len(story.leg("ben").streams) == 16


def test_a_screen_is_shared_while_its_stream_lasts():
    story = up()
    story.report(StreamCreated, "ben", 4, stream=SCREEN)
    assert story.leg("ben").media.screen
    story.report(StreamCreated, "ben", 4, stream=CAMERA)
    story.report(StreamDestroyed, "ben", 5, stream=CAMERA)
    assert story.leg("ben").media.screen
    story.report(StreamDestroyed, "ben", 5, stream=SCREEN)
    assert not story.leg("ben").media.screen


def test_every_stream_ends_before_its_call():
    story = up()
    story.report(StreamCreated, "ben", 4, stream=SCREEN)
    story.do(HangUp, "ann", 5)
    assert story.heard == ["participant.left ann", "stream.destroyed ben", "participant.left ben", "call.ended"]
    assert not story.leg("ben").media.screen


@pytest.mark.parametrize("peer", [None, "ann"])
def test_44_a_clients_own_report_does_not_stand_for_the_workers(peer):
    story = answered()
    assert story.do(MediaConnected, "ben", 3, peer=peer) is None
    assert not story.changed


def test_a_clients_own_loss_does_not_stand_against_the_worker():
    story = up()
    assert story.do(MediaLost, "ben", 5) is None
    assert not story.changed


def test_a_robot_has_no_media_to_lose():
    story = answered("test:answer")
    story.report(MediaUp, "ann", 3)
    story.leg("test:answer").device_id = TEST_DEVICE
    story.do(MediaConnected, "test:answer", 3, device=TEST_DEVICE)
    story.loses(5)
    assert story.heard == ["participant.reconnecting ann"]
    assert story.state("test:answer") == "connected"
