"""Every connected user of a call hears every event of it once and in order."""

import random

import pytest

from service.core.calls import Actor
from service.core.commands import Ack, Answer, Device, DeviceConnected, HangUp, Remove, Signal
from service.core.vocabulary import ActorType
from service.live.session import REPLACED
from tests.core.story import API, person, two_devices
from tests.live.house import House, Tale, call_ids


@pytest.fixture
async def house():
    return House()


def a_whole_call(*callees):
    tale = Tale(*(callees or ("bob",)))
    tale.do(Ack, "bob", 1)
    tale.do(Answer, "bob", 2)
    tale.do(HangUp, "ann", 9)
    return tale


async def test_both_sides_hear_everything_in_order(house):
    ann, bob = house.come("ann"), house.come("bob")
    tale = a_whole_call()
    for turn in tale.turns:
        house.tell(turn)
    assert ann.seqs == bob.seqs == list(range(1, tale.call.seq + 1))
    assert bob.heard[0] == (1, "call.created")
    assert bob.heard[-1][1] == "call.ended"
    assert house.wanted() == set()


async def test_the_cursor_of_an_event_is_where_the_feed_goes_on(house):
    bob = house.come("bob")
    tale = a_whole_call()
    house.tell(*tale.turns)
    told = [frame["cursor"] for frame in bob.outlet.sent if frame["type"] == "event"]
    assert told == [turn.cursor(envelope) for turn in tale.turns for envelope in turn.envelopes]


async def test_nobody_else_hears_anything(house):
    carl, other_app = house.come("carl"), house.come("bob", app="other")
    house.tell(*a_whole_call().turns)
    assert carl.outlet.sent == other_app.outlet.sent == []


async def test_what_comes_twice_is_heard_once(house):
    bob = house.come("bob")
    tale = a_whole_call()
    house.tell(*tale.turns, *tale.turns)
    house.hub.caught_up(tale.heard_since())
    assert bob.seqs == list(range(1, tale.call.seq + 1))


async def test_turns_that_pass_each_other_are_put_in_order(house):
    bob = house.come("bob")
    tale = a_whole_call()
    for seed in range(20):
        turns = list(tale.turns)
        random.Random(seed).shuffle(turns)
        house.hub.leave(bob.session)
        bob = house.come("bob")
        house.tell(*turns)
        assert bob.seqs == list(range(1, tale.call.seq + 1))


async def test_a_gap_asks_for_the_call_once_and_is_filled_from_the_database(house):
    ann, bob = house.come("ann"), house.come("bob")
    tale = a_whole_call()
    first, _lost, third, last = tale.turns
    house.tell(first, third, last)
    assert house.hub.behind(tale.call.id) == first.envelopes[-1].seq
    assert house.wanted() == call_ids(tale)
    house.hub.caught_up(tale.heard_since(first.envelopes[-1].seq))
    assert ann.seqs == bob.seqs == list(range(1, tale.call.seq + 1))
    assert house.hub.behind(tale.call.id) is None


async def test_a_call_that_another_process_told_is_read_whole(house):
    bob = house.come("bob")
    tale = a_whole_call()
    assert house.hub.behind(tale.call.id) == 0
    house.hub.caught_up(tale.heard_since())
    assert bob.seqs == list(range(1, tale.call.seq + 1))


async def test_35_who_is_invited_later_hears_from_the_invitation_on(house):
    carl = house.come("carl")
    tale = Tale("bob", "dan")
    tale.do(Answer, "bob", 1)
    before = tale.call.seq
    tale.invite(2, "carl")
    house.tell(*tale.turns)
    assert carl.seqs == list(range(before + 1, tale.call.seq + 1))
    assert carl.heard[0][1] == "participant.invited"


async def test_38_who_is_removed_hears_that_and_nothing_more_until_invited_again(house):
    carl = house.come("carl")
    tale = Tale("bob", "carl")
    tale.do(Answer, "bob", 1)
    tale.do(Answer, "carl", 2)
    tale.server(Remove, 3, target="carl")
    removed = tale.call.seq
    tale.do(Signal, "bob", 4, type="secret", data="of carl")
    house.tell(*tale.turns)
    assert carl.seqs == list(range(1, removed + 1))
    assert house.wanted() == set()
    before = tale.call.seq
    tale.invite(5, "carl")
    tale.do(Signal, "bob", 6, type="hello")
    house.tell(*tale.turns[-2:])
    assert carl.seqs == [*range(1, removed + 1), *range(before + 1, tale.call.seq + 1)]


async def test_38_the_same_when_it_is_read_from_the_database(house):
    tale = Tale("bob", "carl")
    tale.do(Answer, "bob", 1)
    tale.server(Remove, 3, target="carl")
    carl = house.come("carl", standing=[tale.heard_since()])
    tale.do(Signal, "bob", 4, type="secret")
    before = tale.call.seq
    tale.invite(5, "carl")
    house.hub.caught_up(tale.heard_since())
    assert carl.seqs == list(range(before + 1, tale.call.seq + 1))


async def test_a_signal_is_read_by_its_sender_and_the_addressed_alone(house):
    ann, bob, carl = (house.come(user) for user in ("ann", "bob", "carl"))
    tale = Tale("bob", "carl")
    tale.do(Signal, "ann", 1, type="chat", data={"text": "psst"}, to=("bob",))
    house.tell(*tale.turns)
    assert ann.seqs == bob.seqs == carl.seqs
    said = [guest.outlet.sent[-1]["event"]["data"] for guest in (ann, bob, carl)]
    assert [data["signal"]["data"] for data in said] == [{"text": "psst"}, {"text": "psst"}, None]
    assert [data.get("redacted") for data in said] == [None, None, True]
    assert said[0] == tale_data(tale)


def tale_data(tale):
    import orjson  # noqa: PLC0415 - only here

    return orjson.loads(tale.last.envelopes[-1].text)["data"]


async def test_a_new_session_stands_where_the_database_says(house):
    tale = Tale("bob")
    tale.do(Ack, "bob", 1)
    standing = tale.heard_since(tale.call.seq)
    tale.do(Answer, "bob", 2)
    bob = house.come("bob", standing=[standing])
    house.tell(*tale.turns)
    assert bob.seqs == list(range(standing.call.seq + 1, tale.call.seq + 1))


async def test_what_is_told_before_the_welcome_follows_it(house):
    tale = Tale("bob")
    bob = house.come("bob", welcome=False)
    house.tell(tale.turns[0])
    tale.do(Ack, "bob", 1)
    house.tell(tale.last)
    standing = tale.heard_since(tale.call.seq)
    tale.do(Answer, "bob", 2)
    house.tell(tale.last)
    assert bob.outlet.sent == []
    assert [ring.state for _, _, ring in house.hub.open(bob.session, [standing])] == ["alerting"]
    house.hub.release(bob.session)
    assert bob.seqs == list(range(standing.call.seq + 1, tale.call.seq + 1))


async def test_the_tail_of_a_call_that_was_over_at_the_welcome_is_not_told(house):
    tale = a_whole_call()
    bob = house.come("bob", welcome=False)
    house.tell(tale.last)
    house.hub.open(bob.session, [])
    house.hub.release(bob.session)
    assert bob.outlet.sent == []


async def test_a_session_for_one_call_hears_of_no_other(house):
    tale = a_whole_call()
    guest = house.come("bob", only_call="018f5e10-0000-7000-8000-00000000000f")
    house.tell(*tale.turns)
    assert guest.outlet.sent == []


async def test_the_newer_socket_of_a_device_closes_the_older(house):
    older, tablet = house.come("bob"), house.come("bob", "bob-tablet")
    newer = house.come("bob")
    house.tell(*a_whole_call().turns)
    assert older.outlet.code == REPLACED
    assert older.outlet.sent == []
    assert newer.seqs == tablet.seqs != []


async def test_who_left_is_not_concerned_any_more(house):
    bob = house.come("bob")
    tale = Tale("bob")
    house.tell(*tale.turns)
    assert house.hub.call(tale.call.id)
    house.hub.leave(bob.session)
    house.hub.leave(bob.session)
    assert house.hub.call(tale.call.id) is None
    assert not house.hub.anybody
    house.tell(*a_whole_call().turns)


async def test_ended_calls_are_forgotten_after_two_sweeps_and_echoes_until_then_are_not_heard(house):
    bob = house.come("bob")
    tale = a_whole_call()
    house.tell(*tale.turns)
    heard = list(bob.heard)
    house.hub.sweep()
    house.tell(*tale.turns)
    assert bob.heard == heard
    house.hub.sweep()
    house.hub.sweep()
    assert house.hub.call(tale.call.id) is None
    assert bob.session.watches == {}


async def test_an_ended_call_with_a_gap_is_not_forgotten(house):
    bob = house.come("bob")
    tale = a_whole_call()
    house.tell(tale.turns[0], tale.last)
    for _ in range(3):
        house.hub.sweep()
    house.hub.caught_up(tale.heard_since())
    assert bob.seqs == list(range(1, tale.call.seq + 1))


async def test_18_a_device_that_the_dial_did_not_know_asks_to_be_rung_once(house):
    tablet = house.come("bob", "bob-tablet")
    tale = Tale("bob")
    house.tell(tale.last)
    tale.do(Ack, "bob", 1)
    house.tell(tale.last)
    assert house.asked == [("bob-tablet", tale.call.id)]
    device = Actor(ActorType.DEVICE, "bob-tablet")
    tale.command(DeviceConnected(device, "bob", "bob-tablet"), 2)
    house.tell(tale.last)
    assert tablet.alerts == ["ring bob-tablet"]


async def test_18_a_device_known_by_its_push_only_asks_too(house):
    house.come("bob", "bob-tablet")
    house.tell(Tale(two_devices("bob")).last)
    assert [device for device, _ in house.asked] == ["bob-tablet"]


async def test_the_callee_is_rung_before_anything_else(house):
    bob = house.come("bob")
    house.tell(Tale(person("bob", Device("bob-phone", connected=True))).last)
    ring = bob.outlet.sent[0]["ring"]
    assert bob.outlet.sent[0]["type"] == "ring"
    assert ring["caller"] == {"id": "ann", "name": "Ann", "avatar_url": None}
    assert ring["action_token"] == "token of bob-phone"
    assert ring["expires_at"] == "2026-11-05T12:01:00.000Z"
    assert "group" not in ring


async def test_a_group_ring_says_of_how_many(house):
    bob = house.come("bob")
    house.tell(Tale("bob", "carl").last)
    assert bob.outlet.sent[0]["ring"]["group"] == {"name": None, "count": 3}


async def test_concerned_asks_by_hash(house):
    from service.live.hub import user_hash  # noqa: PLC0415 - only here

    bob = house.come("bob")
    assert house.hub.concerned([user_hash("app", "ann"), user_hash("app", "bob")])
    house.hub.leave(bob.session)
    assert not house.hub.concerned([user_hash("app", "bob")])


async def test_the_backend_s_removal_ends_a_call_of_two_and_both_hear_all_of_it(house):
    ann, bob = house.come("ann"), house.come("bob")
    tale = Tale("bob")
    tale.do(Answer, "bob", 1)
    tale.server(Remove, 3, by=API, target="bob")
    house.tell(*tale.turns)
    assert ann.seqs == bob.seqs == list(range(1, tale.call.seq + 1))


async def test_a_session_that_fails_is_closed_and_the_others_hear_everything(house):
    ann, bob = house.come("ann"), house.come("bob")

    def broken(_frames):
        raise ValueError("broken")

    ann.outlet.write = broken
    tale = a_whole_call()
    house.tell(*tale.turns)
    assert ann.outlet.code == 1011
    assert bob.seqs == list(range(1, tale.call.seq + 1))
