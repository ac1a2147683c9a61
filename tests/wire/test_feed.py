"""The chain: whoever keeps a call's events can prove that none is missing or changed (invariant 4)."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from service.core.calls import Actor, Policy
from service.core.commands import Answer, Device, Dial, HangUp, Person, Signal
from service.core.dialing import dial
from service.core.machine import decide
from service.core.vocabulary import ActorType, CallType, Topology
from service.wire.canonical import canonical, is_plain, rfc3339
from service.wire.feed import envelopes, hash_of, new_id

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def as_doubles(value):
    """RFC 8785 knows doubles only; a reader that keeps integers apart has to undo that for the long ones."""
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and abs(value) >= 2**53 else value


def user(user_id):
    return Actor(ActorType.USER, user_id)


def played(custom=None, data=None):
    """The envelopes of a short call, in order, as they would be stored."""
    people = Person("a"), (Person("b", devices=(Device("b1", connected=True),)),)
    command = Dial(
        user("a"),
        str(uuid4()),
        "app",
        *people,
        CallType.AUDIO_VIDEO,
        Topology.RELAYED,
        Policy(),
        custom or {},
        "a1",
    )
    decision = dial(command, {}, AT)
    call, told = decision.call, envelopes(decision.call, decision.events)
    commands = (Answer(user("b"), "b", "b1"), Signal(user("a"), "a", "a1", "note", data), HangUp(user("a"), "a", "a1"))
    for seconds, next_command in enumerate(commands, 1):
        decision = decide(call, next_command, {}, AT + timedelta(seconds=seconds))
        call = decision.call
        told += envelopes(call, decision.events)
    return call, told


@given(JSON)
def test_the_canonical_form_is_that_of_rfc_8785(value):
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(), JSON, max_size=3), JSON)
def test_the_chain_closes_whatever_the_app_puts_into_a_call(custom, data):
    call, told = played(custom, data)
    previous = ""
    for seq, envelope in enumerate(told, 1):
        event = orjson.loads(envelope.text)
        assert (event["data"]["seq"], event["data"]["call"]["seq"], envelope.seq) == (seq, seq, seq)
        assert event["data"]["prev"] == previous
        # Independent of the product's own code: the hash as its documentation defines it.
        body = {**event, "data": {key: item for key, item in event["data"].items() if key != "hash"}}
        previous = hashlib.sha256(rfc8785.dumps(as_doubles(body))).hexdigest()
        assert event["data"]["hash"] == previous == hash_of(event)
    assert call.last_hash == previous


def test_a_number_that_no_double_carries_is_refused():
    with pytest.raises(ValueError, match="exceeds safe integer domain"):
        canonical({"big": 2**53 + 1})


def test_a_changed_event_breaks_the_chain():
    _, told = played()
    event = orjson.loads(told[0].text)
    event["data"]["call"]["initiator"] = "mallory"
    assert hash_of(event) != event["data"]["hash"]


def test_what_stands_beside_the_envelope_is_not_hashed():
    _, told = played()
    event = orjson.loads(told[0].text)
    assert hash_of({**event, "mapped": "CONNECTED"}) == event["data"]["hash"]


def test_every_event_carries_what_the_vocabulary_promises():
    _, told = played()
    for envelope in told:
        event = orjson.loads(envelope.text)
        assert set(event) == {"type", "timestamp", "data"}
        assert {"call_id", "seq", "prev", "hash", "occurred_at", "late_by_ms", "cause", "call"} <= set(event["data"])
        assert event["timestamp"] == event["data"]["occurred_at"]
        assert event["type"] == envelope.type
        assert event["data"]["event_id"] == str(envelope.event_id)


@pytest.mark.parametrize("value", [1.5, 2**60, {"\U0001f600": 1}, [1, {"a": 0.1}]])
def test_what_orjson_writes_otherwise_is_not_plain(value):
    assert not is_plain(value)


def test_times_are_cut_to_milliseconds():
    assert rfc3339(AT) == "2026-01-02T03:04:05.678Z"


def test_ids_sort_by_the_moment_they_were_made():
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert {i.version for i in ids} == {7}
