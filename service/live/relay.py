"""SDP and ICE between the devices of a call's joined legs. Ephemeral: never an event, never kept.

Relayed topology only, one-to-one and mesh. A device of another replica is reached through a table of messages and a
wake-up.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from service.core.calls import Call, Leg
from service.core.refusals import Code, Refusal
from service.live.framing import json_frame, text_frame
from service.live.hub import Hub
from service.live.session import REPLACED, Session
from service.live.wakes import Wakes
from service.store import relays
from service.store.calls import load
from service.store.connections import Place
from service.store.database import Database
from service.wire.feed import new_id

SFU = "sfu"


class Relay:
    """Brings a frame from one device to another one, or says why not."""

    def __init__(self, database: Database, hub: Hub, wakes: Wakes) -> None:
        self._database = database
        self._hub = hub
        self._wakes = wakes
        self.arrived = asyncio.Event()

    def pass_on(self, session: Session, call_id: str, to: str, frame: Mapping[str, Any]) -> bool | Refusal:
        """Pass a frame on within this process. False when more must be looked up: then :meth:`send` it."""
        if to == SFU:
            return Refusal(Code.MEDIA_UNAVAILABLE, "this call has no media worker; send to the participants")
        call = self._hub.call(call_id)
        target = call and self._target(call, session, to)
        if not isinstance(target, Leg):
            return False
        connection = session.connection
        found = self._hub.sessions_of(connection.app_id, to, target.device_id)
        if len(found) != 1:
            return False
        found[0].send(json_frame({**frame, "from": connection.user_id}))
        return True

    async def send(self, session: Session, call_id: UUID, to: str, frame: Mapping[str, Any]) -> Refusal | None:
        """Pass a frame on, wherever the other device is connected. Raises `StoreUnavailableError`."""
        done = self.pass_on(session, str(call_id), to, frame)
        if done:
            return done if isinstance(done, Refusal) else None
        connection = session.connection
        async with self._database.hot() as driver:
            loaded = await load(driver, call_id)
            if loaded is None or loaded.call.app_id != connection.app_id:
                return Refusal(Code.NOT_FOUND, "there is no such call")
            target = self._target(loaded.call, session, to)
            if isinstance(target, Refusal):
                return target
            if local := self._hub.sessions_of(connection.app_id, to, target.device_id)[-1:]:
                local[0].send(json_frame({**frame, "from": connection.user_id}))
                return None
            text = orjson.dumps({**frame, "from": connection.user_id}).decode()
            addressee = relays.Addressee(connection.app_id, to, target.device_id, self._wakes.replica_id)
            replica = await relays.send(driver, addressee, new_id(), text)
        if replica is None:
            return Refusal(Code.MEDIA_UNAVAILABLE, "the participant's device is not connected now", (to,))
        self._wakes.mail(replica)
        return None

    async def close_elsewhere(self, places: Sequence[Place]) -> None:
        """Close sockets of other replicas: their devices have connected here. Raises `StoreUnavailableError`."""
        strangers = [
            (place.replica_id, place.connection_id) for place in places if place.replica_id != self._wakes.replica_id
        ]
        if strangers:
            async with self._database.hot() as driver:
                await relays.close_all(driver, [new_id() for _ in strangers], strangers)
            for replica_id, _ in strangers:
                self._wakes.mail(replica_id)

    async def run(self) -> None:
        """Hand out what arrives. Raises `StoreUnavailableError`."""
        while True:
            await self.arrived.wait()
            await self.take()

    async def take(self) -> None:
        """Hand out what has arrived from other replicas. Raises `StoreUnavailableError`."""
        self.arrived.clear()
        async with self._database.hot() as driver:
            parcels = await relays.take(driver, self._wakes.replica_id)
        for parcel in parcels:
            session = self._hub.session(parcel.connection_id)
            if session is None:
                continue
            if parcel.text == relays.CLOSE:
                self._hub.leave(session)
                session.close(REPLACED, "this device has a newer connection")
            else:
                session.send(text_frame(parcel.text.encode()))

    @staticmethod
    def _target(call: Call, session: Session, to: str) -> Leg | Refusal:
        """The leg to send to: both sides are in the call, and the sender is the device that is in it."""
        connection = session.connection
        mine, target = call.leg(connection.user_id), call.leg(to)
        if mine is None or not mine.joined or mine.device_id not in {None, connection.device_id}:
            return Refusal(Code.NOT_PARTICIPANT, "this device is not in the call")
        if target is None or not target.joined or target is mine:
            return Refusal(Code.NOT_PARTICIPANT, "the addressee is not in the call, or has not answered yet", (to,))
        return target
