"""Why a phone rang, or did not, in one plain sentence for each device, each leg and the call."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.calls import Policy, Rung
from service.core.commands import (
    Ack,
    Answer,
    Cancel,
    Decline,
    Device,
    DeviceConnected,
    DeviceRemoved,
    HangUp,
    Join,
    Silence,
    Slot,
)
from service.core.trace import Proof, attempts
from service.core.vocabulary import AlertKind, Channel, DeclineReason, Provider
from service.core.witness import clock, lasting
from tests.core.proven import Proven, asleep
from tests.core.scenes import SCENES, twelve
from tests.core.story import at, nobody_home, person, two_devices

OFF = "phone probably off, or notifications disabled"


def story(*people, **fields):
    return Proven(*(people or ("ben",)), **fields)


def pushed(*answers, user="ben", provider=Provider.APNS, end=60, **more):
    """A sleeping phone, and what its provider said at 0.2, 10.2 and 20.2 s; then the ring's end."""
    call = story(asleep(user, provider=provider))
    for place, answer in enumerate(answers):
        call.push(user, place * 10 + 0.2, answer, **more)
    if end:
        call.settle(end)
    return call


def answers_on(call, device, when=4.2):
    call.do(Answer, "ben", when, device=device)
    return call


def test_it_rang_and_was_answered_there():
    call = story()
    call.do(Ack, "ben", 0.012)
    assert call.verdict("ben") == "ben-phone: rang over its socket after 12 ms, and still rings"
    call.do(Answer, "ben", 4.212)
    assert call.verdict("ben") == "ben-phone: rang over its socket after 12 ms, answered there after 4.2 s"
    call.do(HangUp, "ben", 10.212)
    assert call.verdict("ben").endswith("answered there after 4.2 s; out after 6 s: somebody hung up")
    assert call.verdict("ann") == "the caller: nothing had to ring"


def test_it_was_answered_without_an_acknowledgement():
    call = answers_on(story(), "ben-phone", 3)
    expected = "answered there 3 s after its ring began, without an acknowledgement before"
    assert call.verdict("ben") == f"ben-phone: {expected}"


def test_the_other_devices_say_where_it_was_answered():
    call = story(two_devices("ben"))
    call.do(Ack, "ben", 0.01)
    call.push("ben", 0.1, device="ben-tablet")
    call.do(Ack, "ben", 1, device="ben-tablet")
    answers_on(call, "ben-phone", 5)
    assert (
        call.verdict("ben", "ben-tablet")
        == "woken by FCM, rang after 1 s, until it was answered on ben-phone after 4 s"
    )


def test_declined_there():
    call = story()
    call.do(Ack, "ben", 0.012)
    call.do(Decline, "ben", 4.212, reason=DeclineReason.DO_NOT_DISTURB)
    assert call.verdict("ben") == (
        "ben-phone: rang over its socket after 12 ms, declined there after 4.2 s (do_not_disturb)"
    )


def test_declined_elsewhere():
    call = SCENES["declined"]()
    assert call.verdict("ben").startswith("ben-phone: rang over its socket after 12 ms, declined there after 4.2 s")
    assert (
        call.verdict("ben", "ben-tablet")
        == "woken by FCM, rang after 1.1 s, until the user declined elsewhere after 3.1 s"
    )


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (4, "no acknowledgement before the user silenced it 3 s later"),
        (40, "no acknowledgement: phone probably off, or notifications disabled"),
    ],
)
def test_8_a_device_that_had_no_time_before_another_was_silenced_is_not_called_off(after, said):
    call = Proven(asleep("ben", "phone", "tablet"))
    for device in ("phone", "tablet"):
        call.push("ben", 1, device=device)
    call.do(Silence, "ben", after, "phone")
    assert call.verdict("ben", "tablet") == f"push accepted by APNs at 12:00:01.000, {said}"
    call.settle(60)
    assert call.verdict("ben", "tablet").endswith(said)


def test_silenced():
    call = story()
    call.do(Ack, "ben", 1)
    call.do(Silence, "ben", 4)
    call.settle(60)
    assert call.verdict("ben") == (
        "ben-phone: rang over its socket after 1 s, silenced after 3 s, nobody answered within 59 s"
    )


def test_one_device_cannot_carry_the_media_and_the_other_is_silent():
    call = story(two_devices("ben"))
    call.do(Ack, "ben", 0.5)
    call.do(Decline, "ben", 1, reason=DeclineReason.NOT_SUPPORTED)
    assert call.verdict("ben", "ben-phone") == "rang over its socket after 500 ms, but it cannot carry the call's media"


def test_the_caller_gave_up():
    call = story()
    call.do(Ack, "ben", 1)
    call.do(Cancel, "ann", 9)
    assert call.verdict("ben") == "ben-phone: rang over its socket after 1 s, until the caller gave up after 8 s"


def test_no_acknowledgement_over_a_socket():
    call = story()
    assert call.verdict("ben") == "ben-phone: the ring went to its socket at 12:00:00.000, no acknowledgement yet"
    call.settle(60)
    assert call.verdict("ben") == (
        "ben-phone: the ring went to its socket at 12:00:00.000, no acknowledgement: "
        "its app is probably asleep, or its network is gone"
    )


def test_a_ring_that_was_over_at_once_blames_no_device():
    call = story()
    call.do(Cancel, "ann", 1.5)
    assert call.verdict("ben").endswith("no acknowledgement before the caller gave up 1.5 s later")


@pytest.mark.parametrize(
    ("answers", "more", "expected"),
    [
        (["taken"], {}, f"push accepted by APNs at 12:00:00.200, no acknowledgement: {OFF}"),
        (
            ["taken"] * 3,
            {},
            f"3 pushes accepted by APNs from 12:00:00.200 to 12:00:20.200, no acknowledgement: {OFF}",
        ),
        (
            ["gone"],
            {"gone_since": at(-86_400)},
            "Apple says the device is gone since 2026-11-04 12:00:00: its registration was deleted",
        ),
        (["gone"], {}, "Apple says the device is gone: its registration was deleted"),
        (
            ["taken", "gone"],
            {},
            "push accepted by APNs at 12:00:00.200; then Apple says the device is gone: its registration was deleted",
        ),
        (["refused"], {}, "APNs refused the push (400 BadDeviceToken)"),
        (["refused"], {"detail": "another topic"}, "APNs refused the push (400 BadDeviceToken): another topic"),
        (
            ["refused"],
            {"reason": "unregistered", "detail": "the device is not registered any more"},
            "the device is not registered any more",
        ),
        (
            ["misconfigured"],
            {"reason": "no_credentials", "detail": "the app has no credentials for fcm (production)"},
            "the app has no credentials for fcm (production)",
        ),
        (["misconfigured"], {}, "APNs does not take the app's credentials (403 InvalidProviderToken)"),
        (
            ["later", "later"],
            {},
            "APNs could not take the push (503 ServiceUnavailable, 2 times); then it was too late",
        ),
        (["taken", "later"], {}, f"push accepted by APNs at 12:00:00.200, no acknowledgement: {OFF}"),
    ],
)
def test_what_providers_say(answers, more, expected):
    assert pushed(*answers, **more).verdict("ben", "ben-phone") == expected


def test_a_browser_that_does_not_answer():
    call = pushed("taken", provider=Provider.WEBPUSH)
    assert call.verdict("ben").endswith("no acknowledgement: browser probably closed, or notifications disabled")


def test_a_provider_is_still_tried():
    call = pushed("later", end=None)
    assert call.verdict("ben", "ben-phone").endswith("(503 ServiceUnavailable); it is tried again")


def test_no_acknowledgement_of_a_push_yet():
    call = pushed("taken", end=None)
    assert call.verdict("ben") == "ben-phone: push accepted by APNs at 12:00:00.200, no acknowledgement yet"


def test_woken_by_the_second_push():
    call = pushed("taken", "taken", end=None)
    call.do(Ack, "ben", 11.5)
    assert call.verdict("ben") == "ben-phone: woken by push 2 of APNs, rang after 11.5 s, and still rings"


def test_woken_but_its_screen_shows_nothing():
    call = pushed("taken", end=None)
    call.do(Ack, "ben", 1.22, alerting=False)
    heard = "heard of the ring at 12:00:01.220, but its screen"
    assert call.verdict("ben", "ben-phone") == f"{heard} does not show the call yet"
    call.settle(60)
    assert call.verdict("ben", "ben-phone") == f"{heard} never showed the call"


def test_a_push_that_nobody_sends():
    call = story(asleep("ben"))
    assert call.verdict("ben", "ben-phone") == "its push has waited since 12:00:00.000: nobody has sent it yet"
    call.drop(AlertKind.RING, "the call has ended: canceled")
    assert call.verdict("ben", "ben-phone") == "no push was sent: the call has ended: canceled"


def test_a_push_that_waits_for_its_moment():
    call = story(person("ben", Device("ben-phone", provider=Provider.FCM)), policy=Policy(realert_s=(5, 10)))
    assert call.verdict("ben", "ben-phone") == "a push by FCM goes out at 12:00:05.000"


def test_a_call_without_pushes():
    call = story(asleep("ben"), policy=Policy(realert_s=()))
    assert (
        call.verdict("ben", "ben-phone") == "not connected, and the call was made without pushes (realert_s is empty)"
    )


def test_two_apps_on_one_phone():
    call = story(asleep("ben", "app", "browser", hardware_id="pixel"))
    call.push("ben", 0.2, device="app")
    assert call.verdict("ben", "browser") == "on the same device as app, which was woken in its place"


def test_it_came_online_while_it_rang():
    call = story(nobody_home("ben"))
    assert call.verdict("ben") == "no device registered that could ring: none is connected, none has push yet"
    call.do(DeviceConnected, "ben", 12)
    call.do(Ack, "ben", 12.25)
    assert call.verdict("ben") == (
        "ben-phone: came online 12 s into the ring, rang over its socket after 250 ms, and still rings"
    )


def test_it_found_the_call_by_itself():
    call = story(nobody_home("ben"))
    call.do(Ack, "ben", 3)
    assert call.verdict("ben") == "ben-phone: found the call by itself 3 s into the ring, and rang, and still rings"


def test_it_was_unregistered_while_it_rang():
    call = story(two_devices("ben"))
    call.do(Ack, "ben", 1)
    call.do(DeviceRemoved, "ben", 6)
    call.settle(60)
    assert call.verdict("ben", "ben-phone") == (
        "rang over its socket after 1 s, until the device was unregistered after 5 s"
    )


@pytest.mark.parametrize(
    ("callee", "engaged", "expected"),
    [
        (person("ben"), {"ben": (Slot("x", 0),)}, "busy in another call: nothing rang"),
        (person("ben", do_not_disturb=True), {}, "do not disturb: nothing rang"),
        (nobody_home("ben"), {}, "no device registered that could ring: none is connected, none has push yet"),
    ],
)
def test_nothing_rang(callee, engaged, expected):
    assert story(callee, engaged=engaged).verdict("ben") == expected


def test_nothing_rang_in_a_group():
    call = story("cleo", person("ben", forbidden=True), person("dora", known=False))
    assert call.verdict("ben") == "takes no calls from the caller: nothing rang"
    assert call.verdict("dora") == "there is no such user: nothing rang"


def test_nobody_could_be_reached():
    call = story(nobody_home("ben"))
    call.settle(60)
    assert call.verdict("ben") == (
        "no device registered that could ring: none is connected, none has push; nobody could be reached"
    )


def test_an_invitation_that_rings_nothing():
    call = story(policy=Policy(notify_only=True))
    assert call.verdict("ben") == "invited without a ring (notify_only)"


def test_somebody_else_took_the_call_in_a_hunt():
    call = story("ben", "cleo", policy=Policy(hunt=True))
    call.do(Ack, "ben", 1)
    call.do(Ack, "cleo", 1)
    call.do(Answer, "cleo", 3)
    assert (
        call.verdict("ben") == "ben-phone: rang over its socket after 1 s, until somebody else took the call after 2 s"
    )


def test_several_devices_of_which_none_rang():
    call = story(asleep("ben", *"abcd"))
    for device in "abcd":
        call.push("ben", 0.2, device=device)
    call.settle(60)
    one = f"push accepted by APNs at 12:00:00.200, no acknowledgement: {OFF}"
    assert call.verdict("ben") == f"none of 4 devices rang; a: {one}; b: {one}; c: {one}; and 1 more"


def test_several_devices_that_rang():
    call = story(two_devices("ben"))
    call.do(Ack, "ben", 1)
    call.do(Ack, "ben", 2, device="ben-tablet")
    assert call.verdict("ben") == "rang on ben-phone and ben-tablet since 12:00:01.000"
    call.settle(60)
    assert call.verdict("ben") == "rang on ben-phone and ben-tablet for 59 s: nobody answered"


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [(True, "told by e-mail at 12:00:05.000"), (False, "not told by e-mail: the user has no address for email")],
)
def test_the_person_was_told_by_e_mail(accepted, expected):
    call = story(nobody_home("ben"), policy=Policy(fallback=(Rung(Channel.EMAIL, 5),)))
    call.fallback("ben", 5, accepted=accepted, detail=None if accepted else "the user has no address for email")
    assert call.verdict("ben").endswith(f"; {expected}")


def test_every_invitation_is_told():
    call = story("ben", "cleo")
    call.do(Answer, "cleo", 2)
    call.do(Ack, "ben", 1)
    call.do(Decline, "ben", 4)
    call.invite(10, "ben")
    call.do(Answer, "ben", 12)
    told = [(each.leg.user_id, each.leg.attempt, each.verdict) for each in call.traced().legs]
    assert told[1:3] == [
        ("ben", 1, "ben-phone: rang over its socket after 2 s, declined there after 2 s"),
        ("ben", 2, "ben-phone: answered there 2 s after its ring began, without an acknowledgement before"),
    ]


def test_an_earlier_invitation_is_as_exact_as_its_events():
    call = story("ben", "cleo")
    call.do(Answer, "cleo", 0.5001234)
    call.do(Ack, "ben", 1.0001234)
    call.do(Decline, "ben", 2.0009876, reason=DeclineReason.ERROR)
    call.invite(3.0001234, person("ben", do_not_disturb=True))
    (first,) = [each for each in call.traced().legs if (each.leg.user_id, each.leg.attempt) == ("ben", 1)]
    assert first.verdict == "ben-phone: rang over its socket after 1 s, declined there after 1 s (error)"
    assert call.verdict("ben") == "do not disturb: nothing rang"


def test_who_joins_by_itself_did_not_have_to_be_rung():
    call = story("ben", "cleo")
    call.do(Answer, "cleo", 2)
    call.do(Join, "dora", 5, person=person("dora"))
    assert call.verdict("dora") == "came in without a ring"


def test_the_call_in_a_sentence():
    assert [SCENES[name]().traced().summary for name in ("answered", "missed", "busy", "declined")] == [
        "ann called ben: answered after 4.2 s; ended after 1 min 5 s (1 min 1 s of talk): somebody hung up",
        "ann called ben; ended after 1 min: nobody answered",
        "ann called ben; ended at once: busy",
        "ann called ben; ended after 4.2 s: declined",
    ]
    assert twelve().traced().summary.startswith("ann called ben, cleo, dora and 8 more: answered after 3 s; ended")
    assert story().traced().summary == "ann called ben; dialing"
    waiting = story(ring_initiator=True, initiator=two_devices("ann"))
    assert waiting.traced().summary == "ann called ben; dialing"
    assert waiting.verdict("ann", "ann-phone").startswith("the ring went to its socket at 12:00:00.000")


def test_the_proofs_are_in_the_order_of_their_times():
    call = SCENES["missed"]()
    (device,) = call.traced().legs[1].devices
    assert [(proof.what, (proof.at - at(0)).total_seconds()) for proof in device.proofs] == [
        ("queued", 0.0),
        ("sent", 0.052),
        ("sent", 10.061),
        ("sent", 20.043),
        ("stopped", 60.0),
        ("sent", 60.051),
        ("sent", 60.053),
    ]
    assert device.proofs[1] == Proof(at(0.052), "sent", "push by APNs: accepted in 45 ms")


def test_a_user_is_told_of_its_own_part():
    told = SCENES["group"]().traced("cleo")
    assert [each.leg.user_id for each in told.legs] == ["cleo"]
    assert told.notes == ("this is your own part of the call",)


def test_what_a_rule_tells_somebody_else_is_not_of_a_leg():
    call = SCENES["missed"]()
    rule = replace(call.alert(AlertKind.MISSED), id="rule", kind=AlertKind.RULE, user_id="boss", device_id="desk")
    seed = replace(rule, id="seed", user_id="", device_id=None, channel="rule", tries=())
    call.alerts |= {"rule": rule, "seed": seed}
    assert call.traced().alerts == (rule,)
    assert call.traced("ben").alerts == ()
    assert call.drawn().lanes[-1].user_id == "boss"


def test_what_is_missing_of_the_evidence_is_said():
    call = SCENES["answered"]()
    call.said = []
    assert call.traced().notes[0].startswith("the events of this call are no longer kept")
    assert call.verdict("ben").startswith("ben-phone: rang over its socket after 12 ms, answered there after 4.2 s")
    assert list(attempts(call.call, [])) == call.call.legs


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1 s"),
        (4.25, "4.2 s"),
        (59.97, "60 s"),
        (65, "1 min 5 s"),
        (120, "2 min"),
        (3_600, "1 h"),
        (3_780, "1 h 3 min"),
    ],
)
def test_how_long(seconds, said):
    assert lasting(timedelta(seconds=seconds)) == said


def test_a_time_is_of_the_day():
    assert clock(at(1.22)) == "12:00:01.220"
