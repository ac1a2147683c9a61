"""SDP and ICE between the devices of a call's joined legs. Ephemeral: never an event, never kept.

The fast way of `media/relayed.py`: what can be brought to a socket of this process is, without a look at the database.
A device of another replica is reached through a table of messages and a wake-up. So is the media desk (`desk.py`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from service.core.calls import Call, Leg
from service.core.refusals import Code, Refusal
from service.live.desk import Desk
from service.live.framing import json_frame
from service.live.hub import Hub
from service.live.session import REPLACED, Session
from service.live.wakes import Wakes
from service.media.backend import Candidates, Description, Sender
from service.media.relayed import RelayedMedia, relayed_frame, relayed_target
from service.store import relays
from service.store.calls import load
from service.store.connections import Place
from service.store.database import Database, Driver
from service.telemetry.logs import logger
from service.wire.feed import new_id

Signal = Description | Candidates


class Relay:
    """Brings a frame from one device to another one, or says why not."""

    def __init__(self, database: Database, hub: Hub, wakes: Wakes, desk: Desk) -> None:
        self._database = database
        self._desk = desk
        self._hub = hub
        self._wakes = wakes
        self.arrived = asyncio.Event()

    def pass_on(self, session: Session, call_id: str, message: Signal) -> bool | Refusal:
        """Pass a signal on within this process. False when more must be looked up: then :meth:`send` it."""
        call, connection = self._hub.call(call_id), session.connection
        target = call and relayed_target(call, connection.user_id, connection.device_id, message.to)
        if not isinstance(target, Leg):
            return False
        found = self._hub.sessions_of(connection.app_id, message.to, target.device_id)
        if len(found) != 1:
            return False
        found[0].send(json_frame(dict(relayed_frame(call_id, connection.user_id, message))))
        return True

    async def send(self, session: Session, call_id: UUID, message: Signal) -> Refusal | None:
        """Pass a signal on, wherever the other device is connected. Raises `StoreUnavailableError`."""
        done = self.pass_on(session, str(call_id), message)
        if done:
            return done if isinstance(done, Refusal) else None
        connection = session.connection
        async with self._database.hot() as driver:
            loaded = await load(driver, call_id)
            if loaded is None or loaded.call.app_id != connection.app_id:
                return Refusal(Code.NOT_FOUND, "there is no such call")
            sender = Sender(connection.app_id, connection.user_id, connection.device_id)
            media = RelayedMedia(partial(self._bring, driver, loaded.call))
            return await media.signal(loaded.call, sender, message)

    async def _bring(self, driver: Driver, call: Call, sender: Sender, to: str, frame: Mapping[str, Any]) -> bool:
        """To the device with which that user is in the call, here or at another replica."""
        target = call.leg(to)
        device_id = target.device_id if target else None
        if here := self._hub.sessions_of(sender.app_id, to, device_id)[-1:]:
            here[0].send(json_frame(dict(frame)))
            return True
        addressee = relays.Addressee(sender.app_id, to, device_id, self._wakes.replica_id)
        replica = await relays.send(driver, addressee, new_id(), orjson.dumps(dict(frame)).decode())
        if replica is not None:
            self._wakes.mail(replica)
        return replica is not None

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
            try:
                self._hand_out(parcel)
            except Exception:  # noqa: BLE001 - a parcel that nobody understands must not hold up those behind it
                logger("live").exception("a message of another replica failed")

    def _hand_out(self, parcel: relays.Parcel) -> None:
        session = self._hub.session(parcel.connection_id)
        if parcel.connection_id == relays.DESK:
            self._desk.received(parcel.text)
        elif parcel.text != relays.CLOSE:
            self._desk.answers.arrived(parcel.connection_id, parcel.text)
        elif session:
            self._hub.leave(session)
            session.close(REPLACED, "this device has a newer connection")
