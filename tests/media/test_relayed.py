"""Whom a device may signal to: the others in a relayed call; in a routed one only while it moves to its worker."""

from dataclasses import replace

import pytest

from service.core.calls import Leg
from service.core.vocabulary import Topology
from service.media.relayed import relayed_target
from tests.core.story import NOON, talking


def call_with(topology, *moving):
    call = talking("bob", caller="ann", device="ann-phone", topology=topology).call
    legs = [replace(leg, moved_at=NOON if leg.user_id in moving else None) for leg in call.legs]
    return replace(call, legs=legs)


@pytest.mark.parametrize(
    ("topology", "moving", "may"),
    [
        (Topology.RELAYED, (), True),
        (Topology.ROUTED, (), False),
        (Topology.ROUTED, ("ann",), True),
        (Topology.ROUTED, ("bob",), True),
        (Topology.ROUTED, ("ann", "bob"), True),
    ],
)
def test_what_two_have_between_them_carries_on_until_both_are_at_the_worker(topology, moving, may):
    target = relayed_target(call_with(topology, *moving), "ann", "ann-phone", "bob")
    assert isinstance(target, Leg) is may
    if not may:
        assert target.code == "invalid_request"
        assert "offer to sfu" in target.detail


@pytest.mark.parametrize("topology", list(Topology))
def test_a_relayed_way_leads_to_no_worker(topology):
    assert relayed_target(call_with(topology), "ann", "ann-phone", "sfu").code == "invalid_request"
