"""Stories of a call whose devices and media come and go."""

import pytest

from service.core.calls import engaged_slots
from service.core.commands import (
    Ack,
    Answer,
    DeviceConnected,
    DeviceDisconnected,
    DeviceRemoved,
    HangUp,
    Hold,
    Join,
    MediaConnected,
    MediaLost,
    MediaUp,
    OpenRoom,
)
from service.core.vocabulary import EndReason, Topology
from tests.core.story import Story, at, talking, two_devices
from tests.core.world import MEDIA


def connecting(**fields):
    """Ben has answered at second 2; no media yet."""
    story = Story("ben", **fields)
    story.do(Answer, "ben", 2)
    return story


@pytest.mark.parametrize("peer", ["zoe", "ben"])
def test_media_comes_up_with_somebody_else_in_the_call(peer):
    story = connecting()
    assert story.do(MediaConnected, "ben", 3, peer=peer) == "not_participant"
    assert story.refusal.users == (peer,)
    assert not story.changed


def test_media_does_not_come_up_with_somebody_who_still_rings():
    story = Story("ben", "cem")
    story.do(Answer, "ben", 2)
    assert story.do(MediaConnected, "ben", 3, peer="cem") == "not_participant"


def test_media_of_another_device_does_not_count():
    story = connecting()
    assert story.do(MediaConnected, "ben", 3, device="ben-tablet") == "already_answered"
    assert story.state("ben") == "answered"


def test_who_answered_without_a_device_has_the_one_that_connects():
    story = Story("ben")
    story.do(Answer, "ben", 2, device=None)
    assert story.do(MediaConnected, "ben", 3, device="ben-web") is None
    assert (story.leg("ben").device_id, story.state("ben")) == ("ben-web", "connected")


def test_relayed_media_is_a_devices_and_routed_media_may_be_a_workers():
    story = Story("ben")
    story.do(Answer, "ben", 2, device=None)
    assert story.do(MediaConnected, "ben", 3, device=None) == "invalid_request"
    routed = Story("ben", topology=Topology.ROUTED)
    routed.do(Answer, "ben", 2, device=None)
    routed.server(OpenRoom, 2, by=MEDIA, host="here", epoch=1)
    assert routed.do(MediaUp, "ben", 3, device=None, epoch=1, number=1) is None
    assert routed.state("ben") == "connected"


def test_media_before_the_answer_counts_from_the_answer_on():
    story = Story("ben")
    assert story.do(MediaConnected, "ann", 1) is None
    assert story.heard == []
    assert story.state("ann") == "answered"
    story.do(Answer, "ben", 5)
    assert story.heard == ["participant.answered ben", "call.answered ben", "participant.joined ann"]
    assert story.leg("ann").connected_at == at(5)
    story.do(MediaConnected, "ben", 6)
    assert story.ends == ("active", None)
    assert story.call.talk_since == at(6)


def test_media_before_the_answer_that_broke_again_does_not_count():
    story = Story("ben")
    story.do(MediaConnected, "ann", 1)
    story.do(MediaLost, "ann", 2)
    story.do(Answer, "ben", 5)
    assert story.state("ann") == "answered"
    assert story.due == 35


def test_media_before_the_answer_waits_for_its_device():
    story = Story("ben")
    story.do(MediaConnected, "ann", 1)
    story.do(DeviceDisconnected, "ann", 2)
    story.do(Answer, "ben", 5)
    assert story.state("ann") == "answered"
    story.do(DeviceConnected, "ann", 6)
    assert story.heard == ["participant.joined ann"]
    assert story.leg("ann").lost_at is None


def test_39_a_device_that_loses_its_network_has_a_grace():
    story = talking("ben")
    assert story.do(DeviceDisconnected, "ben", 10) is None
    assert story.heard == ["participant.reconnecting ben"]
    assert (story.state("ben"), story.leg("ben").lost_at) == ("reconnecting", at(10))
    assert engaged_slots(story.call) == {"ann": 0, "ben": 0}
    assert story.due == 40
    story.do(DeviceConnected, "ben", 20)
    assert story.heard == ["participant.reconnected ben"]
    assert (story.state("ben"), story.leg("ben").lost_at) == ("connected", None)
    assert story.due is None
    assert story.leg("ben").connected_at == at(3)


def test_39_after_the_grace_the_connection_is_lost():
    story = talking("ben")
    story.do(DeviceDisconnected, "ben", 10)
    story.settle(40)
    assert story.ends == ("ended", "connection_lost")
    assert story.heard == ["participant.left ben", "participant.left ann", "call.ended"]
    assert (story.state("ben"), story.state("ann")) == ("failed", "left")
    assert story.leg("ben").end_reason is EndReason.CONNECTION_LOST
    assert story.call.talk_ms == 37_000
    assert story.news[0].cause.name == "reconnect_grace"
    assert story.do(HangUp, "ben", 41) == "call_ended"


def test_39_a_second_loss_does_not_prolong_the_grace():
    story = talking("ben")
    story.do(DeviceDisconnected, "ben", 10)
    story.do(DeviceDisconnected, "ben", 20)
    assert not story.changed
    story.do(MediaLost, "ben", 25)
    assert story.leg("ben").media_lost
    assert story.due == 40


def test_39_a_socket_that_came_back_is_not_yet_media():
    story = talking("ben")
    story.do(MediaLost, "ben", 10)
    assert story.heard == ["participant.reconnecting ben"]
    assert story.leg("ben").media_lost
    story.do(DeviceDisconnected, "ben", 11)
    story.do(DeviceConnected, "ben", 12)
    assert story.state("ben") == "reconnecting"
    assert story.due == 40
    story.do(MediaConnected, "ben", 13)
    assert story.heard == ["participant.reconnected ben"]
    assert (story.leg("ben").media_lost, story.leg("ben").lost_at, story.due) == (False, None, None)


def test_39_both_are_lost_and_one_returns():
    story = talking("ben")
    story.do(DeviceDisconnected, "ben", 10)
    story.do(DeviceDisconnected, "ann", 15)
    story.do(DeviceConnected, "ben", 20)
    assert story.due == 45
    story.settle(45)
    assert story.ends == ("ended", "connection_lost")
    assert (story.state("ann"), story.state("ben")) == ("failed", "left")


def test_39_another_device_of_the_user_changes_nothing():
    story = talking("ben")
    for kind in (DeviceDisconnected, DeviceConnected, MediaLost, DeviceRemoved):
        assert story.do(kind, "ben", 10, device="ben-tablet") is None
        assert not story.changed
    story.do(DeviceDisconnected, "ben", 11)
    story.do(DeviceConnected, "ben", 12, device="ben-tablet")
    assert not story.changed


def test_39_a_known_peer_that_breaks_is_the_last_only_when_no_other_is_left():
    story = talking("ben", "cem")
    for peer in ("ann", "cem"):
        story.do(MediaConnected, "ben", 4, peer=peer)
    story.do(MediaLost, "ben", 10, peer="ann")
    assert story.heard == []
    assert story.leg("ben").peers == ["cem"]
    story.do(MediaLost, "ben", 11, peer="cem")
    assert story.heard == ["participant.reconnecting ben"]
    story.do(MediaConnected, "ben", 12, peer="ann")
    assert story.state("ben") == "connected"
    story.do(MediaConnected, "ben", 13, peer="cem")
    story.do(MediaLost, "ben", 14)
    assert story.leg("ben").peers == []
    assert story.state("ben") == "reconnecting"


def test_39_media_with_somebody_who_left_is_no_loss():
    story = talking("ben", "cem")
    for user in ("ben", "cem"):
        story.do(MediaConnected, "ann", 4, peer=user)
    story.do(HangUp, "ben", 5)
    assert story.leg("ann").peers == ["cem"]
    story.do(MediaLost, "ann", 6, peer="ben")
    assert not story.changed
    story.do(MediaLost, "ann", 7, peer="zoe")
    assert not story.changed
    story.do(MediaLost, "ann", 8, peer="cem")
    assert story.state("ann") == "reconnecting"


def test_39_media_with_the_only_known_peer_who_left_is_no_loss_either():
    story = talking("ben", "cem")
    story.do(MediaConnected, "ann", 4, peer="ben")
    story.do(HangUp, "ben", 5)
    story.do(MediaLost, "ann", 6, peer="ben")
    assert not story.changed
    story.do(MediaLost, "ann", 7, peer="zoe")
    assert not story.changed
    story.do(MediaLost, "ann", 8, peer="cem")
    assert story.state("ann") == "reconnecting"


def test_39_one_of_two_peers_breaks_while_the_socket_is_away():
    story = talking("ben", "cem")
    for peer in ("ann", "cem"):
        story.do(MediaConnected, "ben", 4, peer=peer)
    story.do(DeviceDisconnected, "ben", 5)
    story.do(MediaLost, "ben", 6, peer="ann")
    assert (story.leg("ben").peers, story.leg("ben").media_lost) == (["cem"], False)
    story.do(DeviceConnected, "ben", 7)
    assert story.state("ben") == "connected"


def test_39_a_loss_with_a_peer_that_was_never_named_is_a_loss():
    story = talking("ben")
    story.do(MediaLost, "ben", 10, peer="ann")
    assert story.state("ben") == "reconnecting"


def test_39_who_is_gone_for_good_is_not_held_or_lost_any_more():
    story = talking("ben", "cem")
    story.do(Hold, "ben", 5)
    story.do(MediaLost, "ben", 6)
    story.settle(36)
    leg = story.leg("ben")
    assert (leg.state.value, leg.held, leg.media_lost, leg.lost_at, leg.peers) == ("failed", False, False, None, [])


def test_40_nobody_stays_busy_when_both_apps_are_killed():
    story = talking("ben")
    story.do(DeviceDisconnected, "ann", 10)
    story.do(DeviceDisconnected, "ben", 10)
    story.settle(10_000)
    assert story.ends == ("ended", "connection_lost")
    assert story.call.ended_at == at(40)
    assert engaged_slots(story.call) == {}


def test_43_a_second_device_takes_over_and_there_is_one_leg_in_the_history():
    story = talking("ben")
    story.do(MediaConnected, "ann", 4, peer="ben")
    story.do(MediaConnected, "ben", 4, peer="ann")
    assert story.do(Join, "ben", 10, device="ben-tablet") is None
    assert story.heard == ["call.updated ben"]
    assert story.news[0].details == {
        "change": "device",
        "device_id": "ben-tablet",
        "replaced_device_id": "ben-phone",
    }
    leg = story.leg("ben")
    assert (leg.state.value, leg.attempt, leg.device_id, leg.connected_at) == ("answered", 1, "ben-tablet", None)
    assert (leg.peers, story.leg("ann").peers) == ([], [])
    assert engaged_slots(story.call) == {"ann": 0, "ben": 0}
    assert story.due == 40
    assert story.ends == ("active", None)
    story.do(DeviceDisconnected, "ben", 11)
    assert not story.changed
    assert story.do(MediaConnected, "ben", 12) == "already_answered"
    story.do(MediaConnected, "ben", 13, device="ben-tablet")
    assert story.heard == ["participant.joined ben"]
    assert story.due is None
    assert story.do(Join, "ben", 14, device="ben-tablet") is None
    assert not story.changed


def test_43_a_lost_place_is_taken_over_by_another_device():
    story = talking("ben")
    story.do(MediaLost, "ben", 9)
    story.do(Join, "ben", 10, device="ben-tablet")
    leg = story.leg("ben")
    assert (leg.state.value, leg.lost_at, leg.media_lost) == ("answered", None, False)
    assert story.due == 40


def test_43_before_media_the_move_starts_the_connect_timeout_again():
    story = connecting()
    story.do(Join, "ben", 20, device="ben-tablet")
    assert (story.leg("ben").answered_at, story.leg("ben").device_id) == (at(20), "ben-tablet")
    story.do(MediaConnected, "ann", 21)
    assert story.due == 50


def test_43_who_sits_on_no_device_yet_just_takes_one():
    story = connecting(device=None)
    assert story.do(Join, "ann", 3, device="ann-web") is None
    assert story.heard == []
    assert (story.leg("ann").device_id, story.leg("ann").answered_at) == ("ann-web", at(0))


def test_43_a_caller_may_move_while_it_rings():
    story = Story("ben")
    story.do(DeviceDisconnected, "ann", 5)
    story.do(Join, "ann", 10, device="ann-web")
    assert (story.leg("ann").device_id, story.leg("ann").lost_at) == ("ann-web", None)
    assert story.due == 60
    story.do(Answer, "ben", 12)
    assert story.due == 42


def test_62_from_the_phone_to_the_big_screen():
    story = Story(two_devices("ben"))
    story.do(Ack, "ben", 1)
    story.do(Answer, "ben", 2)
    for user in ("ann", "ben"):
        story.do(MediaConnected, user, 3)
    story.do(Join, "ben", 10, device="ben-tv")
    story.do(MediaConnected, "ben", 11, device="ben-tv")
    assert (story.state("ben"), story.leg("ben").attempt, story.leg("ben").device_id) == ("connected", 1, "ben-tv")
    assert "call.ended" not in story.all_heard
    assert story.call.talk_since == at(11)
    assert story.call.talk_ms == 7000
