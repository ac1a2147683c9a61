"""What a participant's role means to the machine: a subscriber watches and sends nothing (O-07)."""

import pytest

from service.core.commands import Answer, HangUp, Join, MediaChanged
from service.core.vocabulary import Role
from tests.core.story import Story, person


def media(leg):
    return (leg.media.audio, leg.media.video, leg.media.screen)


def watching():
    story = Story(person("ben", role=Role.SUBSCRIBER), "cem")
    story.do(Answer, "ben", 2)
    story.do(Answer, "cem", 3)
    return story


def test_a_subscriber_sends_nothing():
    story = watching()
    assert media(story.leg("ben")) == (False, False, False)
    assert media(story.leg("cem")) == (True, True, False)


@pytest.mark.parametrize("wanted", ["audio", "video", "screen"])
def test_a_subscriber_cannot_begin_to_send(wanted):
    story = watching()
    assert story.do(MediaChanged, "ben", 4, **{wanted: True}) == "media_permission_denied"
    assert story.refusal.detail == "a subscriber sends no media"
    assert not story.changed
    assert story.do(MediaChanged, "ben", 4, **{wanted: False}) is None
    assert not story.changed


def test_a_subscriber_that_comes_back_still_sends_nothing():
    story = watching()
    story.do(HangUp, "ben", 5)
    story.do(Join, "ben", 6)
    assert story.leg("ben").attempt == 2
    assert media(story.leg("ben")) == (False, False, False)


@pytest.mark.parametrize(("role", "sent"), [(Role.SUBSCRIBER, False), (Role.PUBLISHER, True), (Role.MODERATOR, True)])
def test_what_the_initiator_sends_at_first(role, sent):
    story = Story("ben", initiator=person("ann", role=role))
    assert media(story.leg("ann")) == (sent, sent, False)
