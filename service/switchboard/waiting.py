"""Call waiting: who takes up a second call puts the first aside, or ends it (scenario 21).

After the answer, not with it: each call is changed by its own command, and the answer must not fail because the other
call is being changed at the same time.
"""

from typing import Literal
from uuid import UUID

from service.core.calls import Actor, Call
from service.core.commands import Command, HangUp, Hold
from service.store.database import Database
from service.store.directory import engaged_in
from service.switchboard.board import Switchboard

Waiting = Literal["hold_and_accept", "end_and_accept"]


async def make_room(
    database: Database, switchboard: Switchboard, call: Call, user_id: str, actor: Actor, how: Waiting
) -> None:
    """The user takes part in `call` now: hold their other call, or leave it. One that only rings is let ring.

    Raises as `Switchboard.do`. Without call waiting nobody has another call, and nothing is asked.
    """
    if not call.policy.call_waiting:
        return
    this = UUID(call.id)
    async with database.hot() as driver:
        others = [other for other in await engaged_in(driver, call.app_id, user_id) if other != this]
    for other in others:
        command: Command = HangUp(actor, user_id) if how == "end_and_accept" else Hold(actor, user_id)
        # A refusal means that the other call ended meanwhile or rings only: then there is nothing to put aside.
        await switchboard.do(call.app_id, other, command)


async def take_back(switchboard: Switchboard, call: Call, user_id: str, actor: Actor) -> Call:
    """Who joins a call that they had put aside is in it again. Raises as `Switchboard.do`."""
    leg = call.leg(user_id)
    if leg is None or not leg.held:
        return call
    outcome = await switchboard.do(call.app_id, UUID(call.id), Hold(actor, user_id, held=False))
    return outcome.call or call
