"""The proof that a call's feed is whole, and the check of a webhook."""

import orjson
import pytest

from service.client import Event, SignatureError, verify_webhook
from service.client.feed import unbroken
from service.wire.feed import hash_of
from service.wire.signatures import headers, new_secret

NOW = 1_800_000_000


def event(seq, prev, kind="call.updated", **data):
    envelope = {
        "type": kind,
        "timestamp": "t",
        "data": {"event_id": f"e{seq}", "seq": seq, "prev": prev, **data},
    }
    envelope["data"]["hash"] = hash_of(envelope)
    return Event(envelope)


@pytest.fixture
def chain():
    first = event(1, "")
    second = event(2, first.data["hash"])
    return [first, second, event(3, second.data["hash"])]


def test_a_whole_chain_is_unbroken(chain):
    assert unbroken(chain)
    assert unbroken([])


def test_a_missing_event_breaks_it(chain):
    assert not unbroken(chain[1:])
    assert not unbroken([chain[0], chain[2]])


def test_a_changed_event_breaks_it(chain):
    chain[1].envelope["data"]["seq"] = 2.5
    assert not chain[1].intact
    assert not unbroken(chain)


def test_a_foreign_event_breaks_it(chain):
    assert not unbroken([chain[0], event(2, "somewhere else"), chain[2]])


def test_a_redacted_signal_does_not(chain):
    """More of it in test_proof.py."""
    signal = {"type": "chat", "data": "psst"}
    said = event(4, chain[2].data["hash"], kind="signal.sent", signal=signal)
    said.envelope["data"].update(redacted=True, signal={**signal, "data": None})
    assert not said.intact
    assert unbroken([*chain, said])


def test_events_know_their_place_in_the_feed(chain):
    framed = Event.of({"type": "event", "event": chain[0].envelope, "cursor": "1.a.1"})
    assert (framed.cursor, framed.envelope) == ("1.a.1", chain[0].envelope)
    assert Event.of({**chain[0].envelope, "cursor": "1.a.1"}) == framed


@pytest.mark.parametrize("rotated", [False, True])
def test_a_webhook_is_verified(chain, rotated):
    secret, body = new_secret(), orjson.dumps(chain[0].envelope)
    told = headers([secret], "e1", NOW, body)
    accepted = [new_secret(), secret] if rotated else secret
    assert verify_webhook(accepted, told, body, NOW + 10).seq == 1


def test_a_forged_an_old_and_a_swapped_webhook_are_not(chain):
    secret, body = new_secret(), orjson.dumps(chain[0].envelope)
    told = headers([secret], "e1", NOW, body)
    for forged in (
        (new_secret(), told, body, NOW),
        (secret, told, body + b" ", NOW),
        (secret, told, body, NOW + 3600),
        (secret, headers([secret], "e2", NOW, body), body, NOW),
    ):
        with pytest.raises(SignatureError):
            verify_webhook(*forged)
