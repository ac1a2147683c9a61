"""Texts from outside: what gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.wire.texts import Custom, DeviceId, Line, Message, Name, SignalData, TokenData, UserId, json_fault

LONE = "\ud800"


def taken(kind, value):
    try:
        return TypeAdapter(kind).validate_python(value) == value
    except ValidationError:
        return False


@pytest.mark.parametrize("kind", [UserId, DeviceId])
@pytest.mark.parametrize("value", ["a", "x" * 128, "ünna ☎ 😀", "a/b?c#d", "test:answer@3s", " ", "'; DROP TABLE", "."])
def test_ids(kind, value):
    assert taken(kind, value)


@pytest.mark.parametrize("kind", [UserId, DeviceId, Name, Line])
@pytest.mark.parametrize(
    "value", ["\x00", "a\nb", "a\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", LONE, f"a{LONE}b", 1, None]
)
def test_what_no_line_may_contain(kind, value):
    assert not taken(kind, value)


def test_lengths():
    assert not taken(UserId, "")
    assert not taken(UserId, "x" * 129)
    assert taken(Name, "")
    assert taken(Name, "😀" * 200)
    assert not taken(Name, "x" * 201)
    assert taken(Message, "x" * 1_000)
    assert not taken(Message, "x" * 1_001)


def test_messages_have_lines():
    assert taken(Message, "a\nb\tc")
    assert not taken(Message, "a\x00")
    assert not taken(Message, LONE)


@pytest.mark.parametrize("kind", [Custom, TokenData])
@pytest.mark.parametrize(
    "value", [[], "x", None, {"a": "\x00"}, {"\x00": 1}, {"a": [LONE]}, {"a": 2**53}, {"a": 1e300}, {"a": float("nan")}]
)
def test_objects_that_are_refused(kind, value):
    assert not taken(kind, value)


def test_objects_have_a_size_in_bytes():
    assert taken(TokenData, {"a": "x" * 1_000})
    assert not taken(TokenData, {"a": "ü" * 600})
    assert taken(Custom, {"a": "x" * 8_000})
    assert not taken(Custom, {"a": "x" * 8_200})
    assert not taken(SignalData, "x" * 8_191)
    assert taken(SignalData, "x" * 8_190)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_characters="\0")), inner),
    max_leaves=10,
)


@given(JSON)
def test_plain_json_has_no_fault(value):
    lone = "surrogate" in (json_fault(value) or "surrogate")
    assert json_fault(value) is None or lone


def test_nesting():
    value = 1
    for _ in range(32):
        value = [value]
    assert json_fault(value) is None
    assert json_fault([value])
