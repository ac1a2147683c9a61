"""What becomes of calls when somebody goes away: a user, a whole app (scenario 60).

What goes is taken out of the directory first, so that nothing new can begin; then the calls hear of it one by one,
through the same door as every command. The calls of a user hear of it before, too, while it is known where the stops of
its rings are to be sent. All of it can be repeated: whoever was interrupted does it again. Nothing here goes on for
ever: calls that cannot be ended are left, and logged.
"""

from uuid import UUID

from service.core.calls import Actor
from service.core.commands import End, Remove
from service.core.vocabulary import EndReason
from service.store.apps import suspend_app
from service.store.database import Database
from service.store.directory import engaged_in
from service.store.unfinished import unfinished_of_app, unfinished_of_user
from service.store.users import forget_user
from service.switchboard.board import Switchboard
from service.telemetry.logs import logger

BATCH = 200
LATECOMERS = 3
"""How often to look whether the user is still engaged, by a call that was being dialled meanwhile."""


async def delete_user(database: Database, board: Switchboard, app_id: str, user_id: str, actor: Actor) -> bool:
    """Forget a user: tokens revoked, devices and presence gone, its part in calls `terminated` (scenario 60).

    False: there was no such user.
    """
    leave = Remove(actor, user_id, reason=EndReason.TERMINATED)
    async with database.hot() as driver:
        calls = await engaged_in(driver, app_id, user_id)
    for call_id in calls:
        await board.do(app_id, call_id, leave)
    async with database.begin() as connection:
        known = await forget_user(connection, app_id, user_id)
    async with database.hot() as driver:
        calls = await unfinished_of_user(driver, app_id, user_id)
    for _ in range(LATECOMERS):
        for call_id in calls:
            await board.do(app_id, call_id, leave)
        async with database.hot() as driver:
            calls = await engaged_in(driver, app_id, user_id)
    if calls:
        logger("departures").warning("a deleted user is still in calls", app_id=app_id, user_id=user_id, calls=calls)
    return known


async def suspend(database: Database, board: Switchboard, app_id: str, actor: Actor) -> bool:
    """Suspend an app and end all its calls (`terminated`, scenario 60). False: there is no such app.

    Processes that still remember the app as it was let requests in for a moment; whoever suspends an app for good
    reason repeats this after that moment.
    """
    async with database.begin() as connection:
        known = await suspend_app(connection, app_id, suspended=True)
    tried: set[UUID] = set()
    while calls := await _unfinished(database, app_id):
        if tried.issuperset(calls):
            logger("departures").warning("a suspended app still has calls", app_id=app_id, calls=len(calls))
            break
        for call_id in calls:
            await board.do(app_id, call_id, End(actor, reason=EndReason.TERMINATED))
        tried.update(calls)
    return known


async def _unfinished(database: Database, app_id: str) -> list[UUID]:
    async with database.hot() as driver:
        return await unfinished_of_app(driver, app_id, BATCH)
