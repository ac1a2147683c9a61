from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.wire.shapes import Body, Flag, Moment, Page, PageQuery, View, Whole, cursor_of, key_of

KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


class Asked(Body):
    flag: Flag = False
    count: Whole = 0


class Said(View):
    at: Moment | None = None


@given(KEYS)
def test_a_cursor_is_a_key_and_back(key):
    assert key_of(cursor_of(key)) == key


def test_a_query_takes_the_key_out_of_the_cursor():
    assert PageQuery.model_validate({"limit": "7", "cursor": cursor_of("ünna/1")}) == PageQuery.model_construct(
        limit=7, cursor="ünna/1"
    )
    assert PageQuery().cursor is None


@pytest.mark.parametrize("sent", [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "%"}, {"page": "2"}])
def test_a_query_that_makes_no_sense_is_refused(sent):
    with pytest.raises(ValidationError):
        PageQuery.model_validate(sent)


@pytest.mark.parametrize("cursor", ["%", "a", "AA\n", "AA==A", "__79", "AA", "ä", "AAAAA"])
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(ValueError, match="cursor"):
        key_of(cursor)


@pytest.mark.parametrize(
    "sent", [{"other": 1}, {"flag": "true"}, {"flag": 1}, {"count": "1"}, {"count": 1.5}, {"count": True}]
)
def test_a_body_is_strict_and_repeats_nothing(sent):
    with pytest.raises(ValidationError) as refused:
        Asked.model_validate(sent)
    assert "input_value" not in str(refused.value)


def test_times_have_milliseconds_and_say_that_they_are_utc():
    at = datetime(2026, 11, 20, 8, 15, 30, 123999, tzinfo=UTC)
    assert Said(at=at).model_dump(mode="json") == {"at": "2026-11-20T08:15:30.123Z"}
    assert Page[Said](items=[Said()]).model_dump(mode="json") == {"items": [{"at": None}], "next_cursor": None}
