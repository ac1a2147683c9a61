"""What is sent to webhooks: the event itself, or cut below 20 KB, saying so and where all of it is."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.client.feed import Event, unbroken
from service.core.cti import Format
from service.wire.feed import hash_of, seal
from service.wire.outgoing import LARGEST_BODY, body_of

BASE = "https://calls.example.com"


def leg(user_id, size=300):
    return {"user_id": user_id, "state": "connected", "message": "m" * size}


def call_event(legs, *, user_id=None, custom=None, seq=3, prev="p", **facts):
    data = {
        "call_id": "c1",
        "event_id": "e1",
        "seq": seq,
        "prev": prev,
        "occurred_at": "t",
        "call": {"id": "c1", "state": "active", "custom": custom or {}, "legs": legs},
        **({"user_id": user_id} if user_id else {}),
        **facts,
    }
    return seal({"type": "participant.joined", "timestamp": "t", "data": data})[0]


def large(user_id="u7", **facts):
    return call_event([leg(f"u{n}", 1_000) for n in range(30)], user_id=user_id, **facts)


def test_what_is_small_goes_out_as_it_is():
    text = call_event([leg("ana")])
    assert body_of(text, BASE) == text.encode()


def test_what_is_large_has_the_changed_leg_alone_and_says_so():
    text = large()
    whole, cut = orjson.loads(text), orjson.loads(body_of(text, BASE))
    assert cut["data"].pop("truncated") is True
    assert cut["data"].pop("links") == {
        "call": f"{BASE}/v1/calls/c1",
        "event": f"{BASE}/v1/calls/c1/events?limit=1&cursor=Mw",
    }
    assert cut["data"]["call"]["legs"] == [leg("u7", 1_000)]
    whole["data"]["call"]["legs"] = cut["data"]["call"]["legs"]
    assert cut == whole, "everything else is as it was"


def test_without_a_public_address_links_are_paths():
    assert orjson.loads(body_of(large(), ""))["data"]["links"]["call"] == "/v1/calls/c1"


def test_an_event_that_is_about_nobody_has_no_leg():
    assert orjson.loads(body_of(large(user_id=None), BASE))["data"]["call"]["legs"] == []


def test_its_hash_is_that_of_the_whole_event():
    text = large()
    cut = Event(orjson.loads(body_of(text, BASE)))
    assert cut.data["hash"] == hash_of(orjson.loads(text))
    assert not cut.intact


def test_a_chain_with_a_cut_event_closes_and_one_with_a_changed_one_does_not():
    first = call_event([leg("ana")], seq=1, prev="")
    second = large(seq=2, prev=orjson.loads(first)["data"]["hash"])
    third = call_event([leg("ana")], seq=3, prev=orjson.loads(second)["data"]["hash"])
    got = [Event(orjson.loads(body_of(text, BASE))) for text in (first, second, third)]
    assert unbroken(got)
    got[1].envelope["data"]["hash"] = "0" * 64
    assert not unbroken(got)


def test_presence_with_very_many_devices_is_cut_too():
    devices = [{"device_id": f"d{n}", "app_version": "v" * 200} for n in range(100)]
    data = {"user_id": "a/b", "seq": 1, "prev": "", "presence": {"state": "busy", "busy_with": [], "devices": devices}}
    text, _ = seal({"type": "presence.changed", "timestamp": "t", "data": data})
    cut = orjson.loads(body_of(text, BASE))["data"]
    assert cut["truncated"] is True
    assert cut["presence"] == {"state": "busy", "busy_with": [], "devices": []}
    assert cut["links"] == {"presence": f"{BASE}/v1/users/a%2Fb/presence"}


def test_steps_are_taken_only_as_far_as_needed():
    custom = {"note": "n" * 8_000}
    assert orjson.loads(body_of(large(custom=custom), BASE))["data"]["call"]["custom"] == custom
    loud = leg("u1", 12_000)
    cut = orjson.loads(body_of(call_event([loud], user_id="u1", custom=custom, participant=loud), BASE))["data"]
    assert (cut["call"]["custom"], cut["call"]["legs"], cut["participant"]) == ({}, [], loud)


def test_the_last_step_leaves_the_place_in_the_chain():
    text = call_event([leg("u1", 500)], user_id="u1", signal={"data": "x" * 30_000})
    cut = orjson.loads(body_of(text, BASE))["data"]
    assert cut.keys() == {"call_id", "event_id", "seq", "prev", "hash", "occurred_at", "user_id", "truncated", "links"}


words = st.text(max_size=3_000) | st.integers(0, 9_000).map(lambda size: "\x01" * size)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), words), max_size=20),
    st.sampled_from(["a", "z", None]),
    words,
    words,
    st.booleans(),
)
def test_no_body_is_ever_too_large_and_each_names_its_place(legs, user_id, note, signal, joined):
    told = [{"user_id": name, "message": text} for name, text in legs]
    facts = {"participant": told[0]} if joined and told else {}
    text = call_event(told, user_id=user_id, custom={"note": note}, signal={"data": signal}, **facts)
    body = body_of(text, BASE)
    assert len(body) < LARGEST_BODY
    whole, sent = orjson.loads(text), orjson.loads(body)
    assert (sent == whole) is (len(text.encode()) < LARGEST_BODY)
    for name in ("call_id", "event_id", "seq", "prev", "hash"):
        assert sent["data"][name] == whole["data"][name]


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_the_bound_is_exact(size):
    text = call_event([leg("u1", 1_000), leg("u2", 0)], user_id="u2")
    text = call_event([leg("u1", 1_000 + LARGEST_BODY - len(text) + size), leg("u2", 0)], user_id="u2")
    assert len(text) == LARGEST_BODY + size
    assert ("truncated" in orjson.loads(body_of(text, BASE))["data"]) is (size >= 0)


def presence_event(devices=0, **looks):
    presence = {"state": "busy", "activity": "in_call", "do_not_disturb": False, "second_ring": False, **looks}
    presence["devices"] = [{"device_id": f"d{n}", "app_version": "v" * 200} for n in range(devices)]
    data = {"user_id": "ann", "seq": 1, "prev": "", "presence": presence}
    return seal({"type": "presence.changed", "timestamp": "t", "data": data})[0]


@pytest.mark.parametrize(
    ("form", "looks", "word"),
    [
        (Format.TAPI, {}, "CONNECTED"),
        (Format.CSTA, {"second_ring": True}, "alerting + connected"),
        (Format.ASTERISK, {"state": "offline", "activity": "idle"}, "UNAVAILABLE"),
        (Format.CSTA, {"state": "offline", "activity": "idle"}, None),
        (Format.GRAPH, {"do_not_disturb": True}, "DoNotDisturb"),
        (Format.GRAPH, {"activity": "of another version"}, None),
    ],
)
def test_the_word_of_a_system_stands_beside_the_event_whose_hash_is_the_same(form, looks, word):
    text = presence_event(**looks)
    sent = orjson.loads(body_of(text, BASE, form))
    assert sent == {**orjson.loads(text), "mapped": word}
    assert hash_of(sent) == sent["data"]["hash"]


def test_events_of_calls_are_sent_as_ever():
    text = call_event([leg("ana")])
    assert body_of(text, BASE, Format.TAPI) == text.encode()


@pytest.mark.parametrize("devices", [0, 75, 100])
def test_a_cut_event_has_its_word_too_and_fits_with_it(devices):
    body = body_of(presence_event(devices), BASE, Format.TAPI)
    assert len(body) < LARGEST_BODY
    sent = orjson.loads(body)
    assert (sent["mapped"], "truncated" in sent["data"]) == ("CONNECTED", devices > 80)


def test_the_word_counts_into_the_bound():
    text = presence_event(devices=1)
    text = presence_event(devices=1, note="x" * (LARGEST_BODY - len(text) - 20))
    assert "truncated" not in orjson.loads(body_of(text, BASE))["data"]
    assert "truncated" in orjson.loads(body_of(text, BASE, Format.TAPI))["data"]
