"""What a notice says of its ring: that of the invitation it was made for."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from service.core.calls import SERVER
from service.core.commands import Decline, Device, Invite, Pushed
from service.core.ringing import alerts_of
from service.core.vocabulary import AlertKind, DeclineReason, Platform, Provider
from service.dispatch.letters import Letters
from service.store.claims import Claim, Registration
from service.wire.canonical import rfc3339
from tests.core.story import API, Story, at, person


async def token(_call, _leg, ring, until):
    return f"token of {ring.id} until {(until - at(0)).total_seconds():g}"


LETTERS = Letters(token, lambda: "https://calls.example.com")


def asleep(*names):
    return person("ben", *(Device(name, provider=Provider.FCM, platform=Platform.ANDROID) for name in names))


def claim(call, alert):
    known = Registration({"provider": "fcm", "token": "t"}, "android", at(0))
    return Claim(alert, "app", "fcm/app", at(8), 0, 0, call, None, known, at(0))


async def test_35_a_stop_of_an_earlier_invitation_says_nothing_of_the_later_one():
    story = Story(asleep("phone", "tablet"), person("cy"))
    ring = story.leg("ben").ring_of("tablet")
    story.command(Pushed(SERVER, "ben", "tablet", ring_id=ring.id), 1)
    before = story.call
    story.do(Decline, "ben", 3, device="phone", reason=DeclineReason.NO_ANSWER)
    (stop,) = [alert for alert in alerts_of(before, story.call, story.news) if alert.kind is AlertKind.STOP]
    story.command(Invite(API, people=(asleep("phone"),)), 4)
    notice = await LETTERS.notice(claim(story.call, stop), at(5))
    told = notice.payload
    assert (told["type"], told["ring_id"], told["attempt"]) == ("call.stop", ring.id, 1)
    assert told["expires_at"] == rfc3339(at(63))
    assert told["action_token"] == f"token of {ring.id} until 63"
    assert told["links"]["state"] == f"https://calls.example.com/v1/rings/{ring.id}"
    assert notice.expires_at - at(3) == timedelta(seconds=60)


async def test_a_ring_says_its_own_deadline_and_opens_the_doors():
    story = Story(asleep("phone"))
    (ring,) = [alert for alert in alerts_of(None, story.call, story.told) if alert.kind is AlertKind.RING]
    told = (await LETTERS.notice(claim(story.call, ring), at(1))).payload
    assert (told["attempt"], told["action_token"]) == (1, f"token of {ring.ring_id} until 60")
    assert told["expires_at"] == rfc3339(at(60))


async def test_b_18_what_rules_say_of_a_call_takes_the_place_of_nothing_else():
    story = Story(asleep("phone"))
    (ring,) = [alert for alert in alerts_of(None, story.call, story.told) if alert.kind is AlertKind.RING]
    facts = {"title": "Missed", "body": "", "payload": {}}
    told = [replace(ring, id=uuid4(), kind=AlertKind.RULE) for _ in range(2)]
    notices = [await LETTERS.notice(replace(claim(story.call, each), facts=facts), at(1)) for each in told]
    notices.append(await LETTERS.notice(claim(story.call, ring), at(1)))
    assert len({notice.collapse for notice in notices}) == 3
