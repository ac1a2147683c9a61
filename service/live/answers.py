"""Answers to whoever asked, wherever that is: a socket or a waiting request, of this replica or of another one."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import orjson

from service.live.framing import text_frame
from service.live.hub import Hub
from service.live.wakes import Wakes
from service.media.backend import Address
from service.store import relays
from service.store.database import Database
from service.wire.feed import new_id


class Waiting:
    """Somebody who waits for one frame; has an address as long as the `with` block lasts."""

    def __init__(self, waiting: "dict[UUID, Waiting]", replica_id: UUID) -> None:
        self.address = Address(replica_id, new_id())
        self._waiting = waiting
        self._frame: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._waiting[self.address.connection_id] = self
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        del self._waiting[self.address.connection_id]

    def got(self, frame: dict[str, Any]) -> None:
        """The frame has come; only the first counts."""
        if not self._frame.done():
            self._frame.set_result(frame)

    async def frame(self, within_s: float) -> dict[str, Any] | None:
        """The frame; `None` when it has not come within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(self._frame)
        except TimeoutError:
            return None


class Answers:
    """The answers of media workers, and what replicas answer each other."""

    def __init__(self, database: Database, hub: Hub, wakes: Wakes) -> None:
        self._database = database
        self._hub = hub
        self._wakes = wakes
        self._waiting: dict[UUID, Waiting] = {}

    def wait(self) -> Waiting:
        """A place at which one frame is waited for."""
        return Waiting(self._waiting, self._wakes.replica_id)

    def address_of(self, connection_id: UUID) -> Address:
        """Where a socket of this replica is reached."""
        return Address(self._wakes.replica_id, connection_id)

    async def deliver(self, to: Address, frame: Mapping[str, Any]) -> None:
        """Bring a frame there; dropped when nobody is there any more. Raises `StoreUnavailableError`."""
        text = orjson.dumps(dict(frame)).decode()
        if to.replica_id == self._wakes.replica_id:
            self.arrived(to.connection_id, text)
            return
        async with self._database.hot() as driver:
            await relays.post(driver, new_id(), to.replica_id, to.connection_id, text)
        self._wakes.mail(to.replica_id)

    def arrived(self, connection_id: UUID, text: str) -> None:
        """A frame for somebody of this replica."""
        if session := self._hub.session(connection_id):
            session.send(text_frame(text.encode()))
        elif waiting := self._waiting.get(connection_id):
            waiting.got(orjson.loads(text))
