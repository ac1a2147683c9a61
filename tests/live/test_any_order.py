"""Whatever is lost, late, doubled or out of order: in the end each has heard everything once, in order."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.commands import Ack, Answer, Decline, HangUp, Join, MediaConnected, Remove, Signal, Silence
from tests.live.house import House, Tale

USERS = ("ann", "bob", "carl", "dan")


def a_long_call():
    """A call of four in which much happens; carl is removed and invited again."""
    tale = Tale("bob", "carl")
    tale.do(Ack, "bob", 1)
    tale.do(Silence, "carl", 1)
    tale.do(Answer, "bob", 2)
    tale.do(Answer, "carl", 3)
    tale.do(MediaConnected, "ann", 4)
    tale.do(MediaConnected, "bob", 4)
    tale.server(Remove, 5, target="carl")
    tale.do(Signal, "bob", 6, type="about", data="carl", to=("ann",))
    tale.invite(7, "carl", "dan")
    tale.do(Decline, "dan", 8)
    tale.do(Answer, "carl", 9)
    tale.do(Join, "bob", 10, device="bob-tablet")
    tale.do(HangUp, "ann", 11)
    tale.do(HangUp, "bob", 12)
    tale.settle(60)
    assert tale.call.ended
    return tale


def meant_for(tale, user):
    """The numbers a user shall hear who is there from the beginning."""
    leg = tale.call.leg(user)
    everything = [e for turn in tale.turns for e in turn.envelopes]
    if user != "carl":
        return [e.seq for e in everything if e.seq >= leg.first_seq]
    types = [(e.type, '"user_id":"carl"' in e.text.rpartition('"seq"')[2]) for e in everything]
    removed = next(n for n, (type_, his) in enumerate(types) if type_ == "participant.removed" and his)
    last_of_turn = next(turn.envelopes[-1].seq for turn in tale.turns if everything[removed] in turn.envelopes)
    again = next(n for n, (type_, his) in enumerate(types) if n > removed and type_ == "participant.invited" and his)
    back = next(turn.envelopes[0].seq for turn in tale.turns if everything[again] in turn.envelopes)
    return [e.seq for e in everything if e.seq <= last_of_turn or e.seq >= back]


@given(
    steps=st.lists(
        st.one_of(
            st.integers(0, 16).map(lambda n: ("turn", n)),
            st.integers(0, 16).map(lambda n: ("read", n)),
            st.just(("sweep", 0)),
        ),
        max_size=60,
    )
)
@settings(max_examples=300)
def test_everybody_hears_everything_once_and_in_order(steps):
    asyncio.run(play(steps))


async def play(steps):
    house, tale = House(), a_long_call()
    guests = {user: house.come(user) for user in USERS}
    for kind, number in steps:
        if kind == "turn" and number < len(tale.turns):
            house.tell(tale.turns[number])
        elif kind == "read":
            read_late(house, tale, upto=number)
        elif kind == "sweep" and house.hub.behind(tale.call.id, tale.call.version) is not None:
            house.hub.sweep()
    catch_up(house, tale)
    for user, guest in guests.items():
        assert guest.seqs == meant_for(tale, user), user
    rings = [alert for alert in guests["bob"].alerts if alert.startswith("ring ")]
    stops = [alert for alert in guests["bob"].alerts if alert.startswith("ring.stop")]
    assert len(rings) == len(stops) <= 1


def read_late(house, tale, upto):
    """A read that was made when the call stood there, and comes only now."""
    told = tale.turns[: upto + 1]
    call = told[-1].call.copy()
    call.version += 1
    house.hub.caught_up(tale.read(call, told, 0))


def catch_up(house, tale):
    """What the catch-up does in the end."""
    after = house.hub.behind(tale.call.id, tale.call.version)
    if after is not None:
        house.hub.caught_up(tale.heard_since(after))
