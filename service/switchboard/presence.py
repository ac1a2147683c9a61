"""Presence as a query: beside the commands, since it changes nothing but what is overdue."""

from service.core.calls import SERVER
from service.core.commands import Settle
from service.core.presence import Presence, presence
from service.core.settings import AppSettings
from service.store.database import Database
from service.store.presence import Known, read_facts
from service.switchboard.board import Switchboard

LOOKS = 3


async def look(
    database: Database,
    board: Switchboard,
    app_id: str,
    settings: AppSettings,
    user_ids: list[str],
) -> list[Presence]:
    """The presence of those of these users who are known, in the order asked for, as of one moment.

    Test users of a sandbox app are known from the beginning.

    Whoever is in a call that is overdue is not in it: such calls are settled before anything is said.
    """
    known = await _read(database, app_id, settings, user_ids)
    for _ in range(LOOKS):
        if not known.overdue:
            break
        for call_id in known.overdue:
            await board.do(app_id, call_id, Settle(SERVER))
        known = await _read(database, app_id, settings, user_ids)
    return [presence(facts, known.now, ringing_is_busy=settings.busy_while_ringing) for facts in known.facts.values()]


async def _read(database: Database, app_id: str, settings: AppSettings, user_ids: list[str]) -> Known:
    async with database.hot() as driver:
        return await read_facts(driver, app_id, user_ids, sandbox=settings.sandbox)
