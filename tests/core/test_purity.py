"""The machine has no hands: what it is given stays as it was, and the same question has the same answer."""

from copy import deepcopy

import pytest

from service.core.commands import Settle
from service.core.dialing import dial
from service.core.machine import decide
from tests.core.story import API, NOON, Story, at, dialing, phone, talking, two_devices
from tests.core.test_table import LIVE, ben_with, cells, command_of


@pytest.mark.parametrize(("command", "state", "_cell"), [*cells(LIVE)])
def test_nothing_given_is_changed_and_asking_twice_is_the_same(command, state, _cell):
    call = ben_with(state, ("cem", "dan")).call
    before = deepcopy(call)
    kind, fields = command_of(command)
    asked = kind(API, user_id="ben", device_id=fields.pop("device", phone("ben")), **fields)
    first = decide(call, asked, {}, at(5))
    assert call == before
    assert decide(call, asked, {}, at(5)) == first


def test_what_comes_out_shares_nothing_changeable_with_what_went_in():
    call = talking(two_devices("ben"), "cem").call
    call.legs[0].peers.append("ben")
    before = deepcopy(call)
    after = decide(call, Settle(API), {}, at(5)).call.copy()
    for leg in after.legs:
        leg.peers.append("x")
        leg.media.audio = not leg.media.audio
        for ring in leg.rings:
            ring.via = "changed"
        leg.rings.clear()
    after.legs.clear()
    assert call == before


def test_a_dial_changes_neither_its_command_nor_the_engagements():
    command, engaged = dialing(two_devices("ben"), "cem", custom={"a": [1]}), {"cem": ()}
    before = deepcopy((command, engaged))
    first = dial(command, engaged, NOON)
    assert (command, engaged) == before
    assert dial(command, engaged, NOON) == first


def test_a_command_without_effect_gives_the_very_call_back():
    call = Story("ben").call
    decision = decide(call, Settle(API), {}, at(1))
    assert decision.call is call
    assert (decision.changed, decision.events, decision.refusal) == (False, (), None)


def test_there_is_no_rule_for_what_is_no_command():
    with pytest.raises(KeyError):
        decide(Story("ben").call, dialing("ben"), {}, NOON)
