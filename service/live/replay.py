"""What a socket missed, as frames: the events that its user may hear, in the order they were committed."""

from collections.abc import Iterator, Sequence

from service.core.calls import Leg
from service.core.vocabulary import LegState
from service.live.turns import Turn
from service.store.hearing import Heard


def replay(standing: Sequence[Heard], user_id: str, only_call: str | None) -> bytes:
    """Event frames for that user, from its first event on and without the time in which it was removed."""
    turns = [
        (turn.told.tx, turn.frames_for(user_id, leg.first_seq))
        for heard in standing
        if (leg := heard.call.leg(user_id)) and only_call in {None, heard.call.id}
        for turn in _audible(heard, leg)
    ]
    return b"".join(frames for _tx, frames in sorted(turns, key=lambda turn: turn[0]))


def _audible(heard: Heard, leg: Leg) -> Iterator[Turn]:
    perhaps_removed = leg.state is LegState.REMOVED or leg.attempt > 1
    for told in heard.told:
        turn = Turn(told, heard.call.version)
        if turn.last >= leg.first_seq and not (perhaps_removed and turn.without(leg.user_id)):
            yield turn
