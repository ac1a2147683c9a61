"""What a click-to-dial's own ring tells: to the initiator's devices, to those who watch, and to test users."""

import pytest

from service.core.acts import next_act
from service.core.calls import Policy, Rung
from service.core.commands import Answer, Device, Person, Pushed
from service.core.presence import Activity, Facts, State, presence
from service.core.robots import TEST_DEVICE
from service.core.vocabulary import AlertKind, CallType, Channel, Provider
from service.core.wording import WORDS, words
from tests.core.story import API, NOON, Story, alert_kinds, at, clicked, nobody_home, person, picks_up

# what its devices are told, and what others see


def test_it_is_woken_and_called_off_by_push_but_missed_and_mailed_nothing():
    policy = Policy(fallback=(Rung(Channel.EMAIL, 5),))
    asleep = person("ann", *(Device(name, provider=Provider.FCM) for name in ("ann-phone", "ann-tablet")))
    story = clicked("ben", initiator=asleep, policy=policy)
    assert alert_kinds(None, story) == {("ring", "ann")}
    ring = story.leg("ann").rings[1]
    story.command(Pushed(API, "ann", "ann-tablet", ring_id=ring.id), 1)
    before = story.call
    picks_up(story, 5, nobody_home("ben"))
    assert alert_kinds(before, story) == {("stop", "ann"), ("fallback", "ben")}
    late = clicked("ben", initiator=asleep, policy=policy)
    before = late.call
    late.settle(60)
    assert alert_kinds(before, late) == set()


def test_its_ring_says_whom_it_will_call():
    story = clicked("ben", "cem", call_type=CallType.AUDIO_VIDEO)
    ann = story.leg("ann")
    assert story.call.outgoing(ann)
    assert story.call.other_end(ann).user_id == "ben"
    assert words(story.call, ann, AlertKind.RING, "en-GB") == "Your call to Ben and 1 more"
    assert words(story.call, ann, AlertKind.RING, "de") == "Ihr Anruf bei Ben und 1 weiteren"
    picks_up(story, 5, "ben", "cem")
    assert story.call.other_end(story.leg("ann")).user_id == "ben"
    assert words(story.call, story.leg("ann"), AlertKind.STOP, "en") == "Your call to Ben no longer rings here"
    ben = story.leg("ben")
    assert not story.call.outgoing(ben)
    assert words(story.call, ben, AlertKind.RING, "en") == "Ann is calling you and 1 more"
    story = clicked("ben", "cem", "dan", "eve", policy=Policy(max_participants=5))
    assert words(story.call, story.leg("ann"), AlertKind.RING, "fr") == "Votre appel à Ben et 3 autres"
    assert words(story.call, story.leg("ann"), AlertKind.STOP, "fr") == "Votre appel à Ben ne sonne plus ici"


@pytest.mark.parametrize("language", list(WORDS))
def test_its_ring_is_told_in_every_language(language):
    story = clicked(Person("ben-7"))
    assert words(story.call, story.leg("ann"), AlertKind.RING, language).endswith(" ben-7")
    assert "ben-7" in words(story.call, story.leg("ann"), AlertKind.STOP, language)
    assert {"outgoing", "outgoing_group", "outgoing_stop"} <= set(WORDS[language])


def seen(story, when, **how):
    found = presence(Facts("ann", calls=(story.call,)), at(when), **how)
    return found.state, found.activity, [(c.user_id, c.name) for c in found.busy_with]


def test_the_initiator_is_ringing_and_then_dialing():
    story = clicked("ben")
    assert seen(story, 1) == (State.OFFLINE, Activity.RINGING, [])
    assert seen(story, 1, ringing_is_busy=True) == (State.BUSY, Activity.RINGING, [("ben", "Ben")])
    picks_up(story, 5, "ben")
    assert seen(story, 6) == (State.BUSY, Activity.DIALING, [("ben", "Ben")])


# test users click, too


def robots_play(story, *names):
    done = []
    while acts := [(act.at, name, act.command) for name in names if (act := next_act(story.call, name))]:
        when, name, command = min(acts, key=lambda each: each[:2])
        seconds = (when - NOON).total_seconds()
        assert story.command(command, seconds) is None
        done.append((seconds, name, type(command).__name__))
    return done


def test_a_test_user_picks_up_its_own_ring():
    clicker = person("test:answer@1s:hangup@4s", Device(TEST_DEVICE, connected=True))
    story = Story("ben", caller=clicker.user_id, initiator=clicker, ring_initiator=True)
    assert robots_play(story, clicker.user_id) == [(0, clicker.user_id, "Ack"), (1, clicker.user_id, "Answer")]
    assert story.state("ben") == "invited"
    story.do(Answer, "ben", 3)
    assert robots_play(story, clicker.user_id) == [
        (3, clicker.user_id, "MediaConnected"),
        (7, clicker.user_id, "HangUp"),
    ]
    assert story.ends == ("ended", "hangup")


def test_a_test_user_declines_its_own_ring():
    clicker = person("test:decline@2s", Device(TEST_DEVICE, connected=True))
    story = Story("ben", caller=clicker.user_id, initiator=clicker, ring_initiator=True)
    assert [what for _, _, what in robots_play(story, clicker.user_id)] == ["Ack", "Decline"]
    assert story.ends == ("ended", "declined")
