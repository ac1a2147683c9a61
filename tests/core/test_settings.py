from service.core.calls import Policy
from service.core.settings import AppSettings, policy_of
from service.core.vocabulary import Topology


def test_the_defaults_are_those_of_the_vocabulary():
    assert policy_of(AppSettings(), Topology.RELAYED) == Policy(
        ring_timeout_s=60,
        connect_timeout_s=30,
        reconnect_grace_s=30,
        caller_lease_s=30,
        min_connected=2,
        alone_grace_s=10,
        max_participants=4,
        max_duration_s=None,
        hunt=False,
        notify_only=False,
        call_waiting=False,
    )
    assert policy_of(AppSettings(), Topology.ROUTED).max_participants == 12


def test_an_app_chooses_its_own_defaults():
    settings = AppSettings(
        ring_timeout_s=11,
        connect_timeout_s=12,
        reconnect_grace_s=13,
        caller_lease_s=14,
        alone_grace_s=15,
        min_connected=3,
        max_participants_relayed=5,
        max_participants_routed=16,
        max_duration_s=600,
        call_waiting=True,
    )
    assert policy_of(settings, Topology.RELAYED) == Policy(11, 12, 13, 14, 3, 15, 5, 600, call_waiting=True)
    assert policy_of(settings, Topology.ROUTED).max_participants == 16


def test_a_call_may_ask_for_its_own():
    asked = policy_of(
        AppSettings(max_duration_s=600),
        Topology.RELAYED,
        ring_timeout_s=7,
        max_duration_s=8,
        hunt=True,
        notify_only=True,
    )
    assert (asked.ring_timeout_s, asked.max_duration_s, asked.hunt, asked.notify_only) == (7, 8, True, True)
