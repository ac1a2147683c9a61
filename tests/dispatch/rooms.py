"""What tests ask about the rooms of replicas."""

import asyncio
from uuid import UUID

from service.store.calls import load

WITHIN_S = 10


async def hosts(replica, call, epoch=None):
    """Wait until that replica's worker carries the call."""
    async with asyncio.timeout(WITHIN_S):
        while call.id not in replica.sfu.rooms or epoch not in {None, replica.sfu.rooms[call.id]}:
            replica.sfu.heard.clear()
            await replica.sfu.heard.wait()


async def read(replica, call):
    async with replica.database.hot() as driver:
        return (await load(driver, UUID(call.id))).call


async def look(replica):
    """One look of a replica's media control, and all that follows from it."""
    await replica.control.adopt(replica.desk.board)
    await replica.control.run_once(replica.desk.board)
    await replica.control.settle(replica.desk.board)
