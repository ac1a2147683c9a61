"""The strict parser beside the standard one: equal where it takes a text, and it takes all that is I-JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.strict import MalformedError, parse

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-300)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_what_json_can_say_is_taken(value, ascii_only):
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=40))
def test_anything_else_is_malformed_and_nothing_worse(raw):
    try:
        value = parse(raw)
    except MalformedError:
        return
    assert value == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'[{"a":1},{"b":1,"b":1}]',
        b'{"a":1,"\\u0061":2}',
        b'{":":1,"\\u003a":2}',
        b'{"a":"\\u003a","a":":"}',
        b'{"":1,"":2}',
    ],
)
def test_a_name_twice(raw):
    with pytest.raises(MalformedError, match="twice"):
        parse(raw)


@pytest.mark.parametrize(
    "raw",
    [b'{"a":":","b":"::"}', b'{"a":"\\u003a","b":":"}', b'{"a":"\\\\u003a","b":1}', b'{"a":"\\"a\\":1","b":"{"}'],
)
def test_colons_that_are_text(raw):
    assert parse(raw) == json.loads(raw)


@pytest.mark.parametrize(
    "raw", [b'"\\u0000"', b'{"\\u0000":1}', b"9007199254740992", b"-9007199254740992", b"1e16", b"1E400", b"1" * 400]
)
def test_what_not_every_reader_keeps(raw):
    with pytest.raises(MalformedError):
        parse(raw)


def test_the_fault_says_where_and_nothing_of_what():
    with pytest.raises(MalformedError) as fault:
        parse(b'{"password": secret}')
    assert str(fault.value) == "not valid JSON: line 1 column 14"
