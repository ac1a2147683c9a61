"""Who is connected, as the calls see it (scenarios 18, 39 to 41).

A device that comes online rings or takes its place back; one that goes leaves a grace behind.

A connection's row goes only after its calls have been told, so that whoever dies in between is made up for by others.
"""

import asyncio
from collections.abc import Callable, Iterable
from uuid import UUID

from service.core.calls import Actor
from service.core.commands import DeviceConnected, DeviceDisconnected
from service.core.vocabulary import ActorType
from service.store import relays
from service.store.connections import (
    Arrival,
    Connection,
    Departure,
    Engaged,
    add_connection,
    bury_replicas,
    dead_connections,
    engaged_connections,
    register_replica,
    remove_connections,
    renew_lease,
    restore_connections,
    standing,
    unregister_replica,
)
from service.store.database import Database, StoreUnavailableError
from service.switchboard.board import Switchboard

BURY_AFTER_S = 60.0
AT_ONCE = 500
"""Connections of a dead replica that are cleared in one go."""
PATIENCE = 2
"""Rounds in which others may renew, too, when this replica itself was late: the database was away for all."""
SIDE_BY_SIDE = 8
"""Commands for them that run at a time."""


class Attendance:
    """One replica's connections, and those of replicas that have died.

    `lease_s`: a replica silent for so long is dead, and a device whose socket closed is waited for as long before it is
    gone in presence; one whose replica died has been waited for already. `moved` (app, user) is called when a device
    came or went, `died` when a replica is gone for good: nobody knows what it had yet to tell.
    """

    def __init__(
        self,
        database: Database,
        switchboard: Switchboard,
        replica_id: UUID,
        lease_s: float,
        moved: Callable[[str, str], None] = lambda _app_id, _user_id: None,
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self._moved = moved
        self._died = died
        self._database = database
        self._switchboard = switchboard
        self._replica_id = replica_id
        self._lease_s = lease_s
        self._present: dict[UUID, Connection] = {}
        self._leaving: dict[UUID, Connection] = {}
        self._closed = False
        self._patience = 0

    async def open(self) -> None:
        """Begin this replica's lease. Raises `StoreUnavailableError`."""
        async with self._database.hot() as driver:
            await register_replica(driver, self._replica_id, self._lease_s)

    async def close(self) -> None:
        """The replica stops: tell the calls whose devices go with it, then give up the lease.

        Raises `StoreUnavailableError`; then others see to it when the lease is over.
        """
        self._closed = True
        async with self._database.hot() as driver:
            engaged = await engaged_connections(driver, self._replica_id)
        await self._gone((each.connection, call_id) for each in engaged for call_id in each.calls)
        async with self._database.hot() as driver:
            await unregister_replica(driver, self._replica_id, self._lease_s)
        self._stir(self._present.values())

    async def arrive(self, connection: Connection) -> Arrival:
        """A device is here: its open calls ring or take it back.

        Returns the older sockets of the device, to be closed. Raises `StoreUnavailableError`.
        """
        self._present[connection.id] = connection
        async with self._database.hot() as driver:
            arrival = await add_connection(driver, connection, self._replica_id)
        self._stir([connection])
        for call_id in arrival.calls:
            await self.ring(connection, call_id)
        return arrival

    async def ring(self, connection: Connection, call_id: UUID) -> None:
        """Let a call know of this device, if its token opens that call. Raises `StoreUnavailableError`."""
        if connection.only_call not in {None, call_id}:
            return
        command = DeviceConnected(
            _device(connection), connection.user_id, connection.device_id, rings=not connection.guest
        )
        await self._switchboard.do(connection.app_id, call_id, command)

    async def leave(self, connection: Connection) -> None:
        """A device's socket is gone. What cannot be written now is made up for by :meth:`run_once`."""
        self._present.pop(connection.id, None)
        if self._closed:
            return
        self._leaving[connection.id] = connection
        try:
            await self._leave(connection)
        except StoreUnavailableError:
            return
        self._leaving.pop(connection.id, None)

    async def run_once(self) -> None:
        """Renew the lease, finish what could not be written, clear after dead replicas.

        Raises `StoreUnavailableError`.
        """
        if self._closed:
            return
        if not await self._renew():
            self._patience = PATIENCE
        for connection in list(self._leaving.values()):
            await self._leave(connection)
            self._leaving.pop(connection.id, None)
        if self._patience:
            self._patience -= 1
        else:
            await self._clear()

    async def _renew(self) -> bool:
        """Prolong the lease. False when that came too late: then everything is noted again."""
        async with self._database.hot() as driver:
            if await renew_lease(driver, self._replica_id, self._lease_s):
                return True
            await register_replica(driver, self._replica_id, self._lease_s)
            await restore_connections(driver, list(self._present.values()), self._replica_id)
            engaged = await engaged_connections(driver, self._replica_id)
        self._stir(self._present.values())
        for each in engaged:
            for call_id in each.calls:
                await self.ring(each.connection, call_id)
        return False

    async def _leave(self, connection: Connection) -> None:
        stands = await self._standing(connection)
        if not stands.here:
            return  # a newer socket of the device took its place
        if not stands.elsewhere:
            await self._gone((connection, call_id) for call_id in stands.calls)
        async with self._database.hot() as driver:
            await remove_connections(driver, [connection.id], self._lease_s)
        self._stir([connection])
        if not stands.elsewhere:
            await self._here(connection)

    def _stir(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            self._moved(connection.app_id, connection.user_id)

    async def _here(self, connection: Connection) -> None:
        """If the device is connected after all, it came back while it was being told gone: it is here."""
        stands = await self._standing(connection)
        if stands.here or stands.elsewhere:
            for call_id in stands.calls:
                await self.ring(connection, call_id)

    async def _clear(self) -> None:
        """Do for dead replicas what they could not do themselves. Doing it twice does no harm."""
        while dead := await self._dead():
            lost = [each for each in dead if each.calls and not (await self._standing(each.connection)).elsewhere]
            await self._gone((each.connection, call_id) for each in lost for call_id in each.calls)
            async with self._database.hot() as driver:
                await remove_connections(driver, [each.connection.id for each in dead])
            self._stir(each.connection for each in dead)
            for each in lost:
                await self._here(each.connection)
        async with self._database.hot() as driver:
            buried = await bury_replicas(driver, BURY_AFTER_S)
            await relays.forget(driver, BURY_AFTER_S)
        if buried:
            self._died()

    async def _dead(self) -> list[Engaged]:
        async with self._database.hot() as driver:
            return await dead_connections(driver, AT_ONCE)

    async def _gone(self, places: Iterable[tuple[Connection, UUID]]) -> None:
        gate = asyncio.Semaphore(SIDE_BY_SIDE)

        async def tell(connection: Connection, call_id: UUID) -> None:
            command = DeviceDisconnected(_device(connection), connection.user_id, connection.device_id)
            async with gate:
                await self._switchboard.do(connection.app_id, call_id, command)

        await asyncio.gather(*(tell(connection, call_id) for connection, call_id in places))

    async def _standing(self, connection: Connection) -> Departure:
        async with self._database.hot() as driver:
            return await standing(driver, connection)


def _device(connection: Connection) -> Actor:
    return Actor(ActorType.DEVICE, connection.device_id)
