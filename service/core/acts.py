"""What a magic test user does next, and when: read off the call itself, so that it survives any restart.

A robot behaves as a device would: it acknowledges its ring at once, plays the steps of its script from there, and once
it is in the call it reports media with everybody who is in, as soon as they are. It has no media of its own; with its
report its own leg is `connected`, and the call becomes `active` when the human side has reported, too. A robot that is
the initiator has nothing to answer, unless it is rung first (click-to-dial): its media and its hang-up count from the
moment when somebody else has answered.

No robot stays in a call for itself: it hangs up when the last person has left, and a call that never had a person in
it ends some time after the last of it was played.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core.calls import Actor, Call, Leg
from service.core.commands import Ack, Answer, Decline, HangUp, MediaConnected, UserCommand
from service.core.robots import TEST_DEVICE, Action, Script, Step, is_robot, script
from service.core.vocabulary import UNACKNOWLEDGED_RING, ActorType, LegState, Topology


@dataclass(slots=True, frozen=True)
class Act:
    """One command of a robot's device, due at `at`."""

    at: datetime
    command: UserCommand


def next_act(call: Call, user_id: str) -> Act | None:
    """The next act of that test user in this call; `None` for everybody else and when there is nothing left to do.

    Whether the app has test users at all (`sandbox`) is for the caller to know.
    """
    leg, plan = call.leg(user_id), script(user_id)
    if plan is None or leg is None or call.ended:
        return None
    if leg.pending:
        return _while_ringing(leg, plan)
    if leg.joined and is_robot(leg.user_id, leg.device_id):
        acts = [*_in_the_call(call, leg, plan.steps), *_left_over(call, leg)]
        return min(acts, key=lambda act: act.at, default=None)
    return None


def _while_ringing(leg: Leg, plan: Script) -> Act | None:
    ring = leg.ring_of(TEST_DEVICE)
    if ring is None or not ring.open:
        return None
    if plan.ack and (leg.state is LegState.INVITED or ring.state in UNACKNOWLEDGED_RING):
        return Act(ring.queued_at, Ack(_self(leg), leg.user_id, TEST_DEVICE))
    if not plan.steps:
        return None
    step = plan.steps[0]
    at = (ring.alerting_at or ring.queued_at) + timedelta(seconds=step.after_s)
    if step.action is Action.ANSWER:
        return Act(at, Answer(_self(leg), leg.user_id, TEST_DEVICE))
    return Act(at, Decline(_self(leg), leg.user_id, TEST_DEVICE, reason=step.reason))


def _in_the_call(call: Call, leg: Leg, steps: tuple[Step, ...]) -> Iterator[Act]:
    if call.answered_at is None or not steps or steps[0].action is not Action.ANSWER:
        return
    since = max(call.answered_at, leg.answered_at or call.answered_at)
    if call.topology is Topology.ROUTED:
        if leg.state is LegState.ANSWERED:
            yield Act(since, MediaConnected(_self(leg), leg.user_id, TEST_DEVICE))
    else:
        for other in call.legs:
            if other is not leg and other.joined and other.user_id not in leg.peers:
                command = MediaConnected(_self(leg), leg.user_id, TEST_DEVICE, peer=other.user_id)
                yield Act(max(since, other.answered_at or since), command)
    for step in steps[1:]:
        yield Act(since + timedelta(seconds=step.after_s), HangUp(_self(leg), leg.user_id, TEST_DEVICE))


def _left_over(call: Call, leg: Leg) -> Iterator[Act]:
    """The hang-up of a robot that is among its like: nothing else would ever end the call."""
    people = [other for other in call.legs if not is_robot(other.user_id, other.device_id)]
    if call.answered_at is None or any(person.live for person in people):
        return
    if people:
        at = max(person.ended_at or call.answered_at for person in people)
    elif call.pending() or any(_will_hang_up(other) for other in call.joined()):
        return
    else:
        grace = timedelta(seconds=call.policy.alone_grace_s)
        at = max(_played_out(other) or call.answered_at for other in call.legs) + grace
    since = max(call.answered_at, leg.answered_at or call.answered_at)
    yield Act(max(at, since), HangUp(_self(leg), leg.user_id, TEST_DEVICE))


def _played_out(leg: Leg) -> datetime | None:
    """When the last step of a robot's script was done, its leg having answered or ended."""
    return leg.ended_at if _will_hang_up(leg) or not leg.answered_at else leg.answered_at


def _will_hang_up(leg: Leg) -> bool:
    plan = script(leg.user_id)
    return plan is not None and len(plan.steps) > 1


def _self(leg: Leg) -> Actor:
    return Actor(ActorType.USER, leg.user_id)
