"""What people read, in their language."""

from datetime import UTC, datetime, timedelta, timezone
from string import Formatter

import pytest

from service.core.commands import Cancel
from service.core.vocabulary import AlertKind, CallType, StopReason
from service.core.wording import WORDS, language, until, words
from tests.core.story import Story, person


@pytest.fixture
def call():
    return Story(person("ben")).call


def test_every_language_has_the_same_texts_with_the_same_fields():
    def fields(texts):
        return {key: {name for _, name, _, _ in Formatter().parse(text) if name} for key, text in texts.items()}

    english = fields(WORDS["en"])
    assert {language: fields(texts) for language, texts in WORDS.items()} == dict.fromkeys(WORDS, english)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (StopReason.ANSWERED_ELSEWHERE, "was answered on another device"),
        (StopReason.DECLINED_ELSEWHERE, "was declined on another device"),
        (StopReason.NOT_SUPPORTED, "no longer rings here"),
        (StopReason.CANCELED, "no longer rings here"),
        (None, "no longer rings here"),
    ],
)
def test_5_who_is_told_of_a_stop_reads_why(call, reason, told):
    assert words(call, call.legs[1], AlertKind.STOP, None, reason).endswith(told)


def test_10_who_is_told_of_the_end_reads_that():
    story = Story(person("ben"))
    story.do(Cancel, "ann", 3)
    assert words(story.call, story.leg("ben"), AlertKind.STOP, None, StopReason.CANCELED).endswith("has ended")


def test_8_who_is_told_to_be_quiet_reads_that_the_call_goes_on(call):
    assert words(call, call.legs[1], AlertKind.SILENCE, None).endswith("was silenced on another device")


def test_a_ring_says_who_calls_how_and_with_how_many_others(call):
    assert words(call, call.legs[1], AlertKind.RING, "en") == "Ann is calling with video"
    assert words(call, call.legs[1], AlertKind.RING, "nl") == "Ann is calling with video", "English, for want of Dutch"
    sound = Story("ben", call_type=CallType.AUDIO_ONLY).call
    assert words(sound, sound.legs[1], AlertKind.RING, "it") == "Ann sta chiamando"
    group = Story("ben", "cem", "dan").call
    assert words(group, group.legs[3], AlertKind.RING, "de") == "Ann ruft Sie und 2 weitere an"


def test_a_ring_says_nothing_of_an_earlier_stop(call):
    assert "device" not in words(call, call.legs[1], AlertKind.RING, "en-GB", StopReason.ANSWERED_ELSEWHERE)
    assert words(call, call.legs[1], AlertKind.MISSED, "de_AT", StopReason.TIMED_OUT).startswith("Verpasster Anruf")


def test_until_when_is_said_in_the_reader_s_language_and_in_universal_time():
    at = datetime(2026, 11, 20, 9, 16, 15, 999_000, tzinfo=timezone(timedelta(hours=1)))
    assert until(at, None) == "Until 2026-11-20 08:16:15 UTC"
    assert until(at.astimezone(UTC), "de") == "Bis 2026-11-20 08:16:15 UTC"


@pytest.mark.parametrize(
    ("locale", "spoken"), [(None, "en"), ("DE", "de"), ("de-CH", "de"), ("fr_FR", "fr"), ("xx", "en"), ("", "en")]
)
def test_a_language_that_nobody_speaks_here_is_english(locale, spoken):
    assert language(locale) == spoken
