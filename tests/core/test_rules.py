"""Rules: what they are meant by, for whom, and whom they tell."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.rules import (
    Happening,
    Match,
    Miss,
    Part,
    Party,
    Receiver,
    Receivers,
    Rule,
    RuleChannel,
    asked,
    fits,
    receivers,
    without_twins,
)
from service.core.vocabulary import CallType, DeclineReason, EndReason, LegState

ANN, BEN, CLEO, DORA = (
    Party("ann", "Ann", LegState.CANCELED),
    Party("ben", "Ben", LegState.MISSED, end_reason=EndReason.NO_ANSWER),
    Party("cleo", None, LegState.DECLINED, end_reason=EndReason.DECLINED, decline_reason=DeclineReason.NONE),
    Party("dora", "Dora", LegState.LEFT, answered=True, end_reason=EndReason.LAST_LEFT),
)
ENDED = Happening(
    "call.ended",
    "2026-11-20T08:15:30.123Z",
    call_id="c",
    initiator="ann",
    call_type=CallType.AUDIO_VIDEO,
    call_state="ended",
    call_end=EndReason.NO_ANSWER,
    parties=(ANN, BEN, CLEO, DORA),
)
MISSED = replace(ENDED, type="call.missed", user_id="ben")
PRESENCE = Happening("presence.changed", "2026-11-20T08:15:30.123Z", "ben", presence_state="busy")


def rule(*types, **how):
    how.setdefault("receivers", Receivers(parts=(Part.USER,)))
    return Rule(types or ("*",), RuleChannel.EMAIL, title="x", **how)


def told(made, happening):
    said = asked(made, happening)
    assert isinstance(said, Match), said
    return [one.user_id or one.email or one.phone for one in receivers(made, happening, said)]


@pytest.mark.parametrize(
    ("pattern", "type_", "fitting"),
    [
        ("*", "call.ended", True),
        ("call.*", "call.ended", True),
        ("call.*", "callback.x", False),
        ("call.ended", "call.ended", True),
        ("call.ended", "call.ended.x", False),
        ("call.end", "call.ended", False),
        ("participant.*", "call.ended", False),
    ],
)
def test_types_are_chosen_as_webhooks_choose_them(pattern, type_, fitting):
    assert fits(pattern, type_) is fitting


def test_an_event_of_one_user_is_about_that_user_and_one_of_the_call_about_all_in_it():
    assert told(rule("call.missed"), MISSED) == ["ben"]
    assert told(rule("call.ended"), ENDED) == ["ann", "ben", "cleo", "dora"]


@pytest.mark.parametrize(
    ("how", "users"),
    [
        ({"ids": ("ben", "eve")}, ["ben"]),
        ({"parts": (Part.INITIATOR,)}, ["ann"]),
        ({"parts": (Part.CALLEES,)}, ["ben", "cleo", "dora"]),
        ({"parts": (Part.MISSED,)}, ["ben"]),
        ({"parts": (Part.PARTICIPANTS,)}, ["ann", "ben", "cleo", "dora"]),
        ({"parts": (Part.MISSED,), "ids": ("dora",)}, ["ben", "dora"]),
    ],
)
def test_whom_the_rule_is_for(how, users):
    assert told(rule("call.ended", **how), ENDED) == users


@pytest.mark.parametrize(
    ("party", "missed"),
    [
        (Party("x", state=LegState.MISSED), True),
        (Party("x", state=LegState.UNREACHABLE), True),
        (Party("x", state=LegState.BUSY), True),
        (Party("x", state=LegState.CANCELED), True),
        (Party("x", state=LegState.DECLINED, decline_reason=DeclineReason.DO_NOT_DISTURB), True),
        (Party("x", state=LegState.DECLINED, decline_reason=DeclineReason.NONE), False),
        (Party("x", state=LegState.CANCELED, answered=True), False),
        (Party("x", state=LegState.CONNECTED, answered=True), False),
        (Party("x", state=LegState.RINGING), False),
    ],
)
def test_whom_a_call_passed_by(party, missed):
    said = asked(rule(parts=(Part.MISSED,)), replace(ENDED, parties=(ANN, party)))
    assert isinstance(said, Match) is missed


def test_who_missed_a_call_is_who_call_missed_is_told_of():
    oddly = replace(MISSED, user_id="dora")
    assert told(rule("call.missed", parts=(Part.MISSED,)), oddly) == ["dora"]


def test_who_was_in_the_call_did_not_miss_it_though_another_did():
    to = Receivers(parts=(Part.MISSED,))
    assert told(rule("call.missed", receivers=to), MISSED) == ["ben"]
    left = replace(ENDED, type="participant.left", user_id="dora")
    assert told(rule(receivers=to), left) == ["ben"]


@pytest.mark.parametrize(
    ("made", "happening", "why"),
    [
        (rule(enabled=False), ENDED, "the rule is switched off"),
        (rule("call.missed", "participant.*"), ENDED, "call.ended is none of its types"),
        (rule(ids=("eve",)), ENDED, "it is about nobody whom the rule is for"),
        (rule(parts=(Part.INITIATOR,)), MISSED, "it is about nobody whom the rule is for"),
        (rule(parts=(Part.INITIATOR,)), PRESENCE, "it is about nobody whom the rule is for"),
        (
            rule(end_reasons=(EndReason.BUSY, EndReason.DECLINED)),
            ENDED,
            "the end reason is no_answer, and not one of busy, declined",
        ),
        (rule(end_reasons=(EndReason.BUSY,)), PRESENCE, "the end reason is none, and not one of busy"),
        (
            rule(call_types=(CallType.AUDIO_ONLY,)),
            ENDED,
            "the call type is audio_video, and not one of audio_only",
        ),
        (rule(call_types=(CallType.AUDIO_ONLY,)), PRESENCE, "the call type is none, and not one of audio_only"),
    ],
)
def test_a_rule_that_is_not_meant_says_why(made, happening, why):
    assert asked(made, happening) == Miss(why)


def test_a_rule_that_is_meant_says_why():
    assert asked(rule("call.*"), MISSED) == Match(("ben",), "its type call.* has call.missed, and it is about ben")


def test_the_end_reason_is_that_of_whom_the_event_is_about_else_of_the_call():
    assert replace(ENDED, user_id="cleo").end_reason is EndReason.DECLINED
    assert ENDED.end_reason is EndReason.NO_ANSWER
    assert replace(ENDED, user_id="ann").end_reason is EndReason.NO_ANSWER
    met = rule(end_reasons=(EndReason.DECLINED,), call_types=(CallType.AUDIO_VIDEO,))
    assert isinstance(asked(met, replace(ENDED, user_id="cleo")), Match)


def test_everybody_is_told_once_in_the_order_of_the_rule():
    to = Receivers(
        parts=(Part.INITIATOR, Part.USER, Part.PARTICIPANTS),
        ids=("zoe", "ben"),
        emails=("desk@example.com", "desk@example.com"),
        phones=("+49 1",),
    )
    assert told(rule("call.missed", receivers=to), MISSED) == (
        ["ann", "ben", "cleo", "dora", "zoe", "desk@example.com", "+49 1"]
    )


def test_the_user_of_a_rule_for_some_is_only_those():
    to = Receivers(parts=(Part.USER,))
    assert told(rule("call.ended", receivers=to, parts=(Part.MISSED,)), ENDED) == ["ben"]


def test_an_address_of_a_user_who_is_told_is_not_told_again():
    found = [Receiver("ben"), Receiver(email="Ben@Example.com"), Receiver(email="x@example.com"), Receiver(phone="1")]
    assert without_twins(found, {"ben": "ben@example.com", "cleo": "x@example.com"}) == [found[0], *found[2:]]
    numbers = [Receiver("ben"), Receiver(phone="+49 (30) 12-34"), Receiver(phone="+49301235")]
    assert without_twins(numbers, {"ben": "+49 30 1234"}) == [numbers[0], numbers[2]]
    assert without_twins(found[:2], {"ben": None}) == found[:2]
    vanity = [Receiver("ben"), Receiver(phone="1-800-XMAS")]
    assert without_twins(vanity, {"ben": "1 800 MAS"}) == vanity


@given(st.lists(st.builds(Receiver, user_id=st.sampled_from([*"abc", None]), email=st.sampled_from([*"xy", None]))))
def test_two_receivers_have_the_same_key_only_when_they_are_the_same(found):
    for one in found:
        for other in found:
            same = one.user_id == other.user_id and (one.user_id is not None or one.email == other.email)
            assert (one.key == other.key) is same
