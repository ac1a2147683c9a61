import re

import pytest

from service.core.vocabulary import EventType
from service.wire.event_types import EVENT_TYPES, check_pattern, like_patterns


def like(pattern, text):
    """LIKE as PostgreSQL does it."""
    out, letters = "", iter(pattern)
    for letter in letters:
        out += {"%": ".*", "_": "."}.get(letter) or re.escape(next(letters) if letter == "\\" else letter)
    return re.fullmatch(out, text) is not None


def test_every_name_is_there_once():
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)
    assert {member.value for member in EventType} < set(EVENT_TYPES)


@pytest.mark.parametrize("pattern", "* call.* presence.* call.ended participant.media_changed webhook.test".split())
def test_patterns_that_choose_something(pattern):
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "**",
        "call",
        "call.",
        "call.*.x",
        "calls.*",
        "call.end*",
        "*.ended",
        "CALL.*",
        "call.ended ",
        "call.%",
        "a\0b",
    ],
)
def test_patterns_that_can_never_match_are_refused(pattern):
    with pytest.raises(ValueError, match="exact name"):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", "speaker.changed quality.reported speaker.* quality.*".split())
def test_what_only_sockets_are_told_cannot_be_subscribed_to(pattern):
    with pytest.raises(ValueError, match="told to sockets only"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", set(EVENT_TYPES)),
        ("call.*", {name for name in EVENT_TYPES if name.startswith("call.")}),
        ("call.ended", {"call.ended"}),
        ("participant.media_changed", {"participant.media_changed"}),
    ],
)
def test_a_pattern_matches_what_it_says(pattern, matched):
    (sql,) = like_patterns([pattern])
    assert {name for name in (*EVENT_TYPES, "participant.mediaxchanged") if like(sql, name)} == matched | (
        {"participant.mediaxchanged"} if pattern == "*" else set()
    )


def test_the_wildcards_of_sql_stand_for_themselves():
    assert like_patterns(["a_b%c\\d"]) == [r"a\_b\%c\\d"]
