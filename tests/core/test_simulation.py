"""The short run of the simulation, and that it finds out a machine that is wrong."""

import io
from dataclasses import replace

import pytest

from service.core.machine import decide
from service.core.vocabulary import LegState, RingState
from tests.core.simulation import Simulation, main


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_every_invariant_holds_through_a_short_life(seed):
    out = io.StringIO()
    assert main(["--steps", "12000", "--seed", str(seed)], out) == 0, out.getvalue()
    assert "every invariant held" in out.getvalue()


def test_a_life_has_everything_in_it():
    life = Simulation(3)
    life.run(6000)
    assert life.counts["days"] == 2
    assert {"apps crashed", "service crashes", "sent twice", "delivered late", "audits", "picked up"} <= set(
        life.counts
    )
    assert {"hangup", "no_answer", "busy", "declined", "canceled", "last_left", "connect_timeout"} <= set(life.ends)


def test_the_same_seed_is_the_same_life():
    lives = [Simulation(5), Simulation(5), Simulation(6)]
    for life in lives:
        life.run(1500)
    first, again, other = (life.summary() for life in lives)
    assert first == again != other


def forgets_who_is_alone(call):
    call.alone_since = None


def forgets_the_ring_deadline(call):
    for leg in call.pending():
        leg.ring_deadline = None


def lets_a_phone_ring_on(call):
    for leg in call.joined():
        for ring in leg.rings:
            ring.state, ring.stop_reason = RingState.ALERTING, None


def forgets_when_it_was_lost(call):
    for leg in call.joined():
        leg.lost_at = None


def keeps_a_leg_alive(call):
    if call.ended:
        call.caller.state = LegState.CONNECTED


def takes_the_wrong_slot(call):
    for leg in call.legs:
        leg.slot = 2


def skips_a_number(call):
    call.seq += 1


def changes_a_state_untold(call):
    for leg in call.pending():
        leg.state = LegState.RINGING


def forgets_the_talk(call):
    call.talk_since = None


WRONGS = (
    forgets_who_is_alone,
    forgets_the_ring_deadline,
    lets_a_phone_ring_on,
    forgets_when_it_was_lost,
    keeps_a_leg_alive,
    takes_the_wrong_slot,
    skips_a_number,
    changes_a_state_untold,
    forgets_the_talk,
)


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_machine_that(wrong):
    def machine(call, command, engaged, now):
        decision = decide(call, command, engaged, now)
        if decision.changed:
            wrong(decision.call)
        return decision

    out = io.StringIO()
    assert main(["--steps", "3000", "--seed", "4"], out, machine) == 1
    assert "BROKEN at step" in out.getvalue()
    assert "again: --seed 4 --steps" in out.getvalue()


def tells_twice(decision, _before):
    return replace(decision, events=decision.events + decision.events[-1:])


def tells_nothing(decision, _before):
    return replace(decision, events=())


def scribbles_on_its_input(decision, before):
    before.version += 1
    return decision


@pytest.mark.parametrize("wrong", [tells_twice, tells_nothing, scribbles_on_its_input])
def test_a_machine_that_also(wrong):
    def machine(call, command, engaged, now):
        decision = decide(call, command, engaged, now)
        return wrong(decision, call) if decision.changed else decision

    out = io.StringIO()
    assert main(["--steps", "3000", "--seed", "4"], out, machine) == 1
    assert "BROKEN at step" in out.getvalue()
