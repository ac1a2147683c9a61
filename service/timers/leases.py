"""Nobody stays busy for ever: replicas' leases, and places in calls that nobody holds."""

from uuid import UUID

from service.core.calls import SERVER
from service.core.commands import DeviceDisconnected
from service.store.database import Database
from service.store.orphans import Orphan, orphans
from service.switchboard.board import Switchboard

AT_ONCE = 200
NOBODY = UUID(int=0)


class Orphans:
    """Finds `connected` legs without a connection; one seen twice in a row begins its grace (scenarios 39, 40).

    Twice, because a device may be coming back at the very moment of the first look.
    """

    def __init__(self, database: Database, switchboard: Switchboard) -> None:
        self._database = database
        self._switchboard = switchboard
        self._suspected: frozenset[Orphan] = frozenset()

    async def run_once(self) -> int:
        """Look once; returns how many devices were told gone. Raises `StoreUnavailableError`."""
        found = frozenset(await self._find())
        gone = found & self._suspected
        self._suspected = found - gone
        for orphan in gone:
            command = DeviceDisconnected(SERVER, orphan.user_id, orphan.device_id)
            await self._switchboard.do(orphan.app_id, orphan.call_id, command)
        return len(gone)

    async def _find(self) -> list[Orphan]:
        found: list[Orphan] = []
        after: UUID | None = NOBODY
        while after is not None:
            async with self._database.hot() as driver:
                some, after = await orphans(driver, after, AT_ONCE)
            found += some
        return found
