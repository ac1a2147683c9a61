"""`verify_feed`: the first place where a feed is broken, in plain words."""

from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest

from service.client import Event, FeedError, verify_feed
from service.client.feed import unbroken
from service.wire.feed import hash_of
from service.wire.redaction import without_company
from service.wire.user_feed import DEVICE_REGISTERED, PRESENCE_CHANGED, Chain, user_envelope
from service.wire.webhook_events import DISABLED, TEST, webhook_event


def told(seq, prev, *, call="c1", kind="call.updated", **data):
    envelope = {"type": kind, "timestamp": "t", "data": {"call_id": call, "seq": seq, "prev": prev, **data}}
    envelope["data"]["hash"] = hash_of(envelope)
    return envelope


def chained(count, call="c1", **data):
    feed, prev = [], ""
    for seq in range(1, count + 1):
        feed.append(told(seq, prev, call=call, **data))
        prev = feed[-1]["data"]["hash"]
    return feed


def fault(events, *args, **options):
    with pytest.raises(FeedError) as raised:
        verify_feed(events, *args, **options)
    return str(raised.value)


def test_a_whole_feed_is_whole_and_says_where_it_stands():
    one, two = chained(4), chained(3, "c2")
    mixed = [one[0], two[0], two[1], one[1], one[2], two[2], one[3]]
    heads = verify_feed(mixed)
    assert {stream: head.seq for stream, head in heads.items()} == {"c1": 4, "c2": 3}
    assert heads["c1"].hash == one[3]["data"]["hash"]
    assert verify_feed([Event(envelope) for envelope in mixed]) == heads
    assert verify_feed([]) == {}


def test_it_goes_on_from_where_it_stood():
    feed = chained(5)
    heads = verify_feed(feed[:2])
    assert verify_feed(feed[2:], heads)["c1"].seq == 5
    assert verify_feed(feed[2:], from_the_start=False)["c1"].seq == 5
    assert fault(feed[3:], heads) == "call c1: a gap: event 3 is missing before event 4 (call.updated)"


def test_a_gap_is_named():
    feed = chained(5)
    assert fault(feed[1:]) == "call c1: a gap: event 1 is missing before event 2 (call.updated)"
    assert fault([feed[0], feed[4]]) == "call c1: a gap: events 2 to 4 are missing before event 5 (call.updated)"


def test_a_changed_event_is_named_whatever_was_changed():
    for change in ({"seq": 7}, {"seq": 2.5}, {"seq": "2"}, {"custom": "eve"}, {"hash": "0" * 64}, {"prev": ""}):
        feed = chained(3)
        feed[1]["data"].update(change)
        assert "changed: what event" in fault(feed)
    feed = chained(3)
    feed[1]["type"] = "call.ended"
    assert fault(feed) == "call c1: changed: what event 2 (call.ended) says does not give its hash"


def test_reordered_and_repeated_events_are_named():
    feed = chained(4)
    moved = [feed[0], feed[2], feed[1], feed[3]]
    assert fault(moved) == "call c1: reordered: event 3 (call.updated) comes before event 2"
    assert fault([*feed[:2], *feed[1:]]) == "call c1: repeated: event 2 (call.updated) comes after event 2"


def test_a_foreign_event_is_named():
    feed = chained(3)
    other = told(2, "somewhere else")
    assert "foreign: event 2 (call.updated) is whole, but does not follow event 1" in fault([feed[0], other, feed[2]])
    of_another_call = [*feed[:2], *chained(1, "c2")]
    assert verify_feed(of_another_call)
    assert fault(of_another_call, call_id="c1") == "call c2: foreign: call.updated of call c2 is not of the call c1"


def test_a_signal_for_somebody_else_is_no_break_but_nothing_else_can_hide_as_one():
    first = told(1, "")
    signal = told(2, first["data"]["hash"], kind="signal.sent", signal={"type": "chat", "data": "psst"})
    last = told(3, signal["data"]["hash"])
    signal["data"].update(redacted=True, signal={"type": "chat", "data": None})
    assert verify_feed([first, signal, last])["c1"].seq == 3
    signal["data"]["signal"]["data"] = "something else"
    assert "changed: what event 2" in fault([first, signal, last])
    hidden = told(2, first["data"]["hash"], custom=1)
    hidden["data"].update(redacted=True, custom=2)
    assert "changed: what event 2" in fault([first, hidden])


def test_what_was_too_large_for_a_webhook_is_no_break():
    feed = chained(3, custom="x" * 9)
    del feed[1]["data"]["custom"]
    assert "changed: what event 2" in fault(feed)
    feed[1]["data"].update(truncated=True, links={"event": "https://calls.example.com/v1/…"})
    assert Event(feed[1]).partial
    assert verify_feed(feed)["c1"].seq == 3


def test_what_nobody_keeps_is_in_no_chain():
    speaker = {"type": "speaker.changed", "timestamp": "t", "data": {"call_id": "c1", "user_id": "ana"}}
    feed = chained(2)
    assert verify_feed([feed[0], speaker, feed[1]])["c1"].seq == 2


def test_the_error_says_where():
    feed = chained(3)
    with pytest.raises(FeedError) as raised:
        verify_feed([feed[0], feed[2]])
    assert (raised.value.stream, raised.value.seq) == ("c1", 3)


def test_what_is_told_of_webhooks_breaks_nothing_and_is_proven_too():
    webhook, at = uuid4(), datetime(2026, 1, 2, tzinfo=UTC)
    tests = [orjson.loads(webhook_event(TEST, webhook, at).text) for _ in range(2)]
    gone = orjson.loads(webhook_event(DISABLED, webhook, at, url="https://a.example/ü", reason="gone").text)
    calls = chained(2)
    feed = [calls[0], tests[0], gone, tests[1], calls[1]]
    assert verify_feed(feed)["c1"].seq == 2
    assert unbroken([Event(gone)])
    gone["data"]["reason"] = "failing"
    assert f"webhook {webhook}" in fault(feed)
    assert not unbroken([Event(gone)])


def presences(count):
    chain, told = Chain(0, "", datetime(2026, 1, 2, tzinfo=UTC)), []
    for number in range(count):
        presence = {"busy_with": [{"user_id": f"ben{number}"}], "devices": [{"device_id": "a", "call_id": "c"}]}
        envelope, chain = user_envelope("app", "ann", chain, PRESENCE_CHANGED, {"presence": presence}, cause="presence")
        told.append(envelope.text)
    return told


def test_presence_without_company_is_no_break_but_nothing_else_can_hide_as_such():
    texts = presences(3)
    feed = [orjson.loads(texts[0]), orjson.loads(without_company(texts[1])), orjson.loads(texts[2])]
    assert verify_feed(feed)["user ann"].seq == 3
    feed[1]["data"]["presence"]["devices"][0]["call_id"] = "another"
    assert "changed: what event 2 (presence.changed)" in fault(feed)
    feed[1]["data"]["presence"].update(busy_with=[], devices=[])
    assert "changed: what event 2 (presence.changed)" in fault(feed)


def older(*kinds):
    """A user's devices and presence in one chain, as they were told once; then the devices' own begins."""
    chain, told = Chain(0, "", datetime(2026, 1, 2, tzinfo=UTC)), []
    for kind in kinds:
        envelope, chain = user_envelope("app", "ann", chain, kind, {}, cause="then")
        told.append(orjson.loads(envelope.text))
    own, _ = user_envelope("app", "ann", Chain(0, "", chain.now), DEVICE_REGISTERED, {}, cause="now")
    last, _ = user_envelope("app", "ann", chain, PRESENCE_CHANGED, {}, cause="now")
    return [*told, orjson.loads(own.text), orjson.loads(last.text)]


ORDERS = [(DEVICE_REGISTERED, PRESENCE_CHANGED), (PRESENCE_CHANGED, DEVICE_REGISTERED)]


@pytest.mark.parametrize("order", ORDERS)
def test_a_users_chain_from_when_it_was_one_is_proven_and_goes_on_as_two(order):
    feed = older(*order, *order, order[1], order[0], PRESENCE_CHANGED)
    whole = {"user ann": 8, "devices of user ann": 1}
    for start in range(len(feed)):
        heads = verify_feed(feed[:start])
        assert {name: head.seq for name, head in verify_feed(feed[start:], heads).items()} == whole
    assert {name: head.seq for name, head in verify_feed(feed[2:], from_the_start=False).items()} == whole
    for place in range(len(feed) - 2):
        assert fault(feed[:place] + feed[place + 1 :])
        assert fault([*feed[: place + 1], *feed[place:]])
        changed = orjson.loads(orjson.dumps(feed))
        changed[place]["data"]["cause"]["name"] = "eve"
        assert "changed: what event" in fault(changed)


def test_what_was_told_of_webhooks_before_it_was_sealed_says_so_and_nothing_else_passes_as_such():
    event = orjson.loads(webhook_event(TEST, uuid4(), datetime(2026, 1, 2, tzinfo=UTC)).text)
    assert not Event(event).unsealed
    del event["data"]["hash"]
    assert "changed: what event" in fault([event])
    del event["data"]["prev"]
    assert Event(event).unsealed
    assert verify_feed([event]) == {}
    for envelope in [chained(1)[0], *older(*ORDERS[0])[:2]]:
        del envelope["data"]["hash"], envelope["data"]["prev"]
        assert not Event(envelope).unsealed
        assert "changed: what event" in fault([envelope])
