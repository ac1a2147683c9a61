"""Who carries the media of a call that is dialled, by what was asked for and how many will talk."""

import pytest

from service.core.vocabulary import Topology
from service.switchboard.board import Switchboard

AUTO, RELAYED, ROUTED = None, Topology.RELAYED, Topology.ROUTED


@pytest.fixture
async def staffed(desk):
    """There are media workers."""
    desk.board = Switchboard(desk.database, workers=True)
    return desk


@pytest.mark.parametrize(
    ("asked", "hunt", "callees", "is_to_be", "may_route"),
    [
        (AUTO, False, "b", RELAYED, True),
        (AUTO, False, "bcd", ROUTED, True),
        (AUTO, True, "bcd", RELAYED, True),
        (RELAYED, True, "bcd", RELAYED, False),
        (RELAYED, False, "bcd", RELAYED, False),
        (ROUTED, True, "bcd", ROUTED, False),
    ],
)
async def test_a_hunt_counts_as_two_because_two_will_talk(staffed, asked, hunt, callees, is_to_be, may_route):
    call = (await staffed.dial("a", *callees, topology=asked, hunt=hunt)).call
    assert (call.topology, call.policy.may_route) == (is_to_be, may_route)


async def test_61_who_took_a_hunt_talks_directly_until_a_third_is_in(staffed):
    call = (await staffed.dial("a", *"bcdef", hunt=True)).call
    assert (await staffed.answer(call.id, "c")).call.topology is RELAYED
    assert (await staffed.join(call.id, "e")).call.topology is ROUTED
