"""Frames for those who are in a call, wherever they are connected. Ephemeral: without a number, and never kept."""

from typing import Any

import orjson

from service.core.calls import Call
from service.live.framing import json_frame
from service.live.hub import Hub
from service.live.wakes import Wakes
from service.store import relays
from service.store.database import Database
from service.wire.feed import new_id

TELL = "tell"
Places = list[tuple[str, str | None]]


class Audience:
    """Who hears it: the devices that are in the call, here and at other replicas."""

    def __init__(self, database: Database, hub: Hub, wakes: Wakes) -> None:
        self._database = database
        self._hub = hub
        self._wakes = wakes

    async def tell(self, call: Call, frame: dict[str, Any], *, watchers: bool = False) -> None:
        """Bring a frame to everybody in the call; with `watchers` to those who asked for its quality.

        Raises `StoreUnavailableError`.
        """
        places = [(leg.user_id, leg.device_id) for leg in call.joined()]
        missing = self._tell_here(call.app_id, call.id, places, frame, watchers=watchers)
        if not missing:
            return
        errand = {"op": TELL, "app_id": call.app_id, "call_id": call.id, "places": missing, "frame": frame}
        text = orjson.dumps({**errand, "watchers": watchers}).decode()
        users = sorted({user_id for user_id, _ in missing})
        async with self._database.hot() as driver:
            around = await relays.post_around(driver, call.app_id, users, self._wakes.replica_id, text)
        for replica_id in around:
            self._wakes.mail(replica_id)

    async def tell_one(self, app_id: str, user_id: str, device_id: str | None, frame: dict[str, Any]) -> None:
        """Bring a frame to one device. Raises `StoreUnavailableError`."""
        if found := self._hub.sessions_of(app_id, user_id, device_id)[-1:]:
            found[0].send(json_frame(frame))
            return
        addressee = relays.Addressee(app_id, user_id, device_id, self._wakes.replica_id)
        async with self._database.hot() as driver:
            replica = await relays.send(driver, addressee, new_id(), orjson.dumps(frame).decode())
        if replica:
            self._wakes.mail(replica)

    def told_elsewhere(self, errand: dict[str, Any]) -> None:
        """What another replica tells those in a call."""
        places = [(user_id, device_id) for user_id, device_id in errand["places"]]
        self._tell_here(errand["app_id"], errand["call_id"], places, errand["frame"], watchers=errand["watchers"])

    def _tell_here(self, app_id: str, call_id: str, places: Places, frame: dict[str, Any], *, watchers: bool) -> Places:
        """Send to the sockets of this replica; returns the places that have none here."""
        data, missing = json_frame(frame), []
        for user_id, device_id in places:
            sessions = self._hub.sessions_of(app_id, user_id, device_id)
            for session in sessions:
                if not watchers or call_id in session.watching:
                    session.send(data)
            if not sessions:
                missing.append((user_id, device_id))
        return missing
