"""Click-to-dial: the initiator's own devices ring first, and the others are dialled when one of them is picked up.

Until then the others know nothing of the call and are not engaged by it; the initiator is. What is busy, disturbed or
gone by then is busy, disturbed or gone: nobody is held for a call that may never be made.
"""

from collections.abc import Iterable
from datetime import timedelta

from service.core.answering import accept, take
from service.core.calls import Leg
from service.core.commands import Answer, Join, Person, Slot
from service.core.ending import conclude
from service.core.joining import as_awaited, ring_everybody
from service.core.refusals import Refusal
from service.core.turn import Turn
from service.core.vocabulary import EventType, LegState


def ring_initiator(turn: Turn, initiator: Person, others: Iterable[Person]) -> None:
    """Ring the initiator, whose own do-not-disturb does not matter: it has asked for this ring."""
    leg = turn.call.caller
    leg.state, leg.answered_at, leg.device_id = LegState.INVITED, None, None
    leg.ring_deadline = turn.at + timedelta(seconds=turn.call.policy.ring_timeout_s)
    turn.call.awaited = [as_awaited(person) for person in others]
    turn.tell(EventType.INVITED, leg.user_id)
    turn.start_rings(leg, initiator.devices)


def pick_up(turn: Turn, command: Answer | Join, leg: Leg, engaged: tuple[Slot, ...]) -> Refusal | None:
    """Somebody takes the call; or it is the initiator, and the others are dialled now, as by any dial."""
    call = turn.call
    if not call.outgoing(leg):
        return accept(turn, command, leg, engaged)
    refusal = take(turn, command, leg)
    if refusal:
        return refusal
    known = {person.user_id: person for person in command.people}
    people = [known.get(other.user_id) or Person(other.user_id, other.role, name=other.name) for other in call.awaited]
    call.awaited = []
    turn.tell(EventType.CALL_UPDATED, leg.user_id, change="dialing")
    ring_everybody(turn, people, first_seq=call.seq)
    conclude(turn)
    return None
