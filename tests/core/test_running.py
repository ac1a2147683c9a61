"""Stories of a running call: media up and down, devices, mute, upgrades, limits."""

import pytest

from service.core.calls import Actor, Policy
from service.core.commands import (
    Answer,
    End,
    HangUp,
    Hold,
    Invite,
    Join,
    MediaChanged,
    MediaConnected,
    MediaLost,
    Mute,
    Signal,
    Upgrade,
)
from service.core.vocabulary import ActorType, CallType, EndReason
from tests.core.story import API, Story, at, person, talking

AUDIO = CallType.AUDIO_UPGRADABLE


def connecting(**fields):
    """Ben has answered at second 2; no media yet."""
    story = Story("ben", **fields)
    story.do(Answer, "ben", 2)
    return story


def test_two_connected_legs_make_it_active():
    story = connecting()
    assert story.do(MediaConnected, "ben", 3, peer="ann") is None
    assert story.heard == ["participant.joined ben"]
    assert story.leg("ben").peers == ["ann"]
    assert story.ends == ("connecting", None)
    story.do(MediaConnected, "ann", 4, peer="ben")
    assert story.heard == ["participant.joined ann", "call.active"]
    assert (story.call.active_at, story.call.talk_since, story.leg("ann").connected_at) == (at(4), at(4), at(4))
    story.do(MediaConnected, "ann", 5, peer="ben")
    assert not story.changed
    assert story.leg("ann").peers == ["ben"]


def test_44_answered_but_media_never_connects():
    story = connecting()
    assert story.due == 32
    story.settle(32)
    assert story.ends == ("ended", "connect_timeout")
    assert (story.state("ann"), story.state("ben")) == ("failed", "failed")
    assert story.call.talk_ms == 0
    assert story.news[0].cause.name == "connect_timeout"


def test_44_one_side_alone_is_no_talk():
    story = connecting()
    story.do(MediaConnected, "ben", 10)
    story.settle(32)
    assert story.ends == ("ended", "connect_timeout")
    assert story.call.talk_ms == 0


def test_45_joins_and_vanishes_in_200_ms():
    story = talking("ben", "cem")
    story.invite(5, "dan")
    start = len(story.told)
    story.do(Answer, "dan", 6)
    story.do(MediaConnected, "dan", 6.1)
    story.do(HangUp, "dan", 6.2)
    assert story.all_heard[start:] == [
        "participant.answered dan",
        "participant.joined dan",
        "participant.left dan",
    ]
    assert [event.seq for event in story.told] == list(range(1, len(story.told) + 1))


def test_45_a_loss_and_a_return_in_one_breath():
    story = talking("ben")
    story.do(MediaLost, "ben", 5)
    story.do(MediaConnected, "ben", 5)
    assert story.state("ben") == "connected"
    assert story.call.talk_since == at(3)


@pytest.mark.parametrize("answered", [False, True])
def test_48_media_that_cannot_start_ends_the_call_for_both(answered):
    story = Story("ben")
    if answered:
        story.do(Answer, "ben", 2)
    story.server(End, 3, reason=EndReason.MEDIA_FAILED, by=Actor(ActorType.MEDIA, "worker"))
    assert story.ends == ("ended", "media_failed")
    assert (story.state("ann"), story.state("ben")) == ("failed", "failed")
    assert story.call.ended_by.type is ActorType.MEDIA


def test_50_a_warning_and_the_end_at_the_maximum():
    story = talking("ben", policy=Policy(max_duration_s=100))
    assert story.due == 73
    story.settle(73)
    assert story.heard == ["call.updated"]
    assert story.news[0].details == {"warning": "max_duration", "ends_in_s": 30}
    assert story.news[0].cause.name == "max_duration_warning"
    assert story.due == 103
    story.settle(102.999)
    assert not story.changed
    story.settle(103)
    assert story.ends == ("ended", "max_duration")
    assert story.call.talk_ms == 100_000
    assert (story.state("ann"), story.state("ben")) == ("left", "left")


def test_50_only_talk_counts():
    story = talking("ben", "cem", policy=Policy(max_duration_s=100))
    story.do(HangUp, "ben", 13)
    story.do(HangUp, "cem", 23)
    assert story.call.talk_ms == 20_000
    assert story.call.talk_since is None
    assert story.due == 33
    story.do(Join, "cem", 30)
    story.do(MediaConnected, "cem", 31)
    assert story.call.talk_since == at(31)
    assert story.due == 31 + 80 - 30
    story.settle(82)
    story.settle(112)
    assert story.ends == ("ended", "max_duration")
    assert story.call.talk_ms == 100_000


@pytest.mark.parametrize(("limit", "due"), [(30, 33), (31, 4)])
def test_50_a_short_call_has_no_warning(limit, due):
    assert talking("ben", policy=Policy(max_duration_s=limit)).due == due


def test_50_while_it_rings_nothing_counts():
    story = Story("ben", policy=Policy(max_duration_s=5))
    assert story.due == 60


def test_54_video_by_request_and_consent():
    story = talking("ben", call_type=AUDIO)
    assert story.do(Upgrade, "ben", 10) is None
    assert story.heard == ["participant.upgrade_requested ben"]
    assert story.call.upgrade_from == "ben"
    for user in ("ben", "ann"):
        assert story.do(Upgrade, user, 11) is None
        assert not story.changed
    assert story.do(Upgrade, "ben", 12, action="accept") == "not_authorized"
    assert story.do(Upgrade, "ann", 13, action="accept") is None
    assert story.heard == ["participant.upgraded ann"]
    assert story.call.call_type is CallType.AUDIO_VIDEO
    assert story.call.upgrade_from is None
    assert story.do(MediaChanged, "ann", 14, video=True) is None
    for action in ("request", "accept", "deny"):
        assert story.do(Upgrade, "ann", 15, action=action) is None
        assert not story.changed


@pytest.mark.parametrize("who", ["ann", "ben"])
def test_54_denied_it_stays_audio(who):
    story = talking("ben", call_type=AUDIO)
    story.do(Upgrade, "ben", 10)
    assert story.do(Upgrade, who, 11, action="deny") is None
    assert story.heard == [f"call.updated {who}"]
    assert story.news[0].details == {"change": "upgrade_denied"}
    assert story.call.call_type is AUDIO
    assert story.do(Upgrade, "ann", 12, action="accept") == "not_ringing"
    assert story.do(MediaChanged, "ann", 13, video=True) == "media_permission_denied"


def test_54_audio_only_is_audio_only():
    story = talking("ben", call_type=CallType.AUDIO_ONLY)
    for action in ("request", "accept", "deny"):
        assert story.do(Upgrade, "ben", 10, action=action) == "media_permission_denied"
    assert not story.changed


def test_54_who_asked_and_left_asks_no_more():
    story = talking("ben", "cem", call_type=AUDIO)
    story.do(Upgrade, "ben", 10)
    story.do(HangUp, "ben", 11)
    assert story.call.upgrade_from is None
    assert story.do(Upgrade, "cem", 12) is None
    assert story.heard == ["participant.upgrade_requested cem"]
    story.do(HangUp, "ann", 13)
    assert story.call.upgrade_from == "cem"
    story.server(End, 14)
    assert story.call.upgrade_from is None


def test_own_mute_state_is_told():
    story = talking("ben")
    assert story.do(MediaChanged, "ben", 5, audio=False, video=False, screen=True) is None
    assert story.heard == ["participant.media_changed ben"]
    media = story.leg("ben").media
    assert (media.audio, media.video, media.screen) == (False, False, True)
    story.do(MediaChanged, "ben", 6, audio=False)
    assert not story.changed
    story.do(MediaChanged, "ben", 7)
    assert not story.changed
    story.do(MediaChanged, "ben", 8, audio=True, video=True)
    assert (media.audio, story.leg("ben").media.audio, story.leg("ben").media.video) == (False, True, True)
    assert story.leg("ben").media.screen
    story.do(MediaChanged, "ben", 9, screen=False)
    assert not story.leg("ben").media.screen


def test_an_audio_call_takes_a_screen_but_no_camera():
    story = talking("ben", call_type=AUDIO)
    assert story.do(MediaChanged, "ben", 5, screen=True) is None
    assert story.do(MediaChanged, "ben", 6, video=True) == "media_permission_denied"
    assert story.do(MediaChanged, "ben", 7, video=False) is None
    assert not story.changed


def test_who_is_muted_by_a_moderator_stays_so_until_allowed():
    story = talking("ben")
    moderator = Actor(ActorType.USER, "ann")
    assert story.server(Mute, 5, by=moderator, target="ben", audio=False) is None
    assert story.heard == ["participant.media_changed ben"]
    assert story.news[0].details == {"muted_by": "ann"}
    leg = story.leg("ben")
    assert (leg.muted_audio, leg.muted_video, leg.media.audio, leg.media.video) == (True, False, False, True)
    assert story.do(MediaChanged, "ben", 6, audio=True) == "media_permission_denied"
    assert story.do(MediaChanged, "ben", 7, audio=False, video=False) is None
    assert story.do(MediaChanged, "ben", 8, video=True) is None
    story.server(Mute, 9, target="ben", audio=False)
    assert not story.changed
    story.server(Mute, 10, target="ben", audio=True, video=False)
    leg = story.leg("ben")
    assert (leg.muted_audio, leg.muted_video, leg.media.audio, leg.media.video) == (False, True, False, False)
    assert story.do(MediaChanged, "ben", 11, video=True) == "media_permission_denied"
    assert story.do(MediaChanged, "ben", 12, audio=True) is None
    story.server(Mute, 13, target="ben")
    assert not story.changed


def test_only_who_is_there_can_be_muted():
    story = Story("ben", "cem")
    story.server(Mute, 1, target="ben", audio=False)
    assert story.leg("ben").muted_audio
    for target in ("zoe",):
        assert story.server(Mute, 2, target=target, audio=False) == "not_participant"
        assert story.refusal.users == (target,)
    story.do(HangUp, "ann", 3)
    assert story.server(Mute, 4, target="ann", audio=False) == "call_ended"


def test_in_call_messages_reach_all_or_some():
    story = talking("ben", "cem")
    assert story.do(Signal, "ben", 5, type="chat", data="hi") is None
    assert (story.news[0].only_for, story.news[0].details["signal"]["to"]) == ((), [])
    story.do(HangUp, "ben", 6)
    assert story.do(Signal, "ben", 7, type="chat") == "not_ringing"


@pytest.mark.parametrize("kind", [Signal, Upgrade, MediaChanged, MediaConnected, MediaLost, Hold])
def test_after_the_end_nothing_more_can_be_done(kind):
    story = talking("ben")
    story.do(HangUp, "ann", 5)
    assert story.do(kind, "ben", 6) == "call_ended"
    assert story.refusal.detail == "the call has ended: hangup"
    assert not story.changed


def test_55_a_connected_leg_is_not_touched_by_anything_but_its_own_people():
    story = talking("ben")
    story.settle(86_400)
    assert not story.changed
    assert story.due is None


def test_a_call_may_be_ended_for_everybody():
    story = talking("ben", "cem")
    story.command(Invite(API, people=(person("dan"),)), 5)
    story.server(End, 6)
    assert story.ends == ("ended", "terminated")
    assert [story.state(user) for user in ("ann", "ben", "cem", "dan")] == ["left", "left", "left", "canceled"]
    assert {leg.end_reason.value for leg in story.call.legs} == {"terminated"}


def test_a_signal_is_for_those_who_are_in_the_call():
    story = talking("ben", "cleo")
    story.do(Signal, "ann", 4, type="chat", data="to all")
    assert story.news[0].only_for == ()
    story.do(HangUp, "cleo", 5)
    story.do(Signal, "ann", 6, type="chat", data="behind her back")
    assert story.news[0].only_for == ("ann", "ben")
    assert story.news[0].details["signal"]["to"] == []
    assert story.do(Signal, "ann", 7, type="chat", to=("ben", "cleo")) == "not_participant"
    assert not story.changed
