"""The people of the play and their devices: each a live socket that remembers what it was told."""

import asyncio
from collections.abc import Callable
from typing import Self, TypeVar

from service.client import Client, Event, LiveSocket, Replaced, Ring, RingStop
from service.demo.teller import NotAsTold

T = TypeVar("T")
PATIENCE_S = 20.0
"""How long anything that happens at once may take on a slow machine."""


class Device:
    """One device of one person. `label` is how the play calls it: "Ben's tablet"."""

    def __init__(self, url: str, token: str, user_id: str, label: str, device_id: str, platform: str) -> None:
        self.user_id = user_id
        self.label = label
        self.device_id = device_id
        self.socket = LiveSocket(url, token, device_id=device_id, platform=platform)
        self.events: list[Event] = []
        self.alerts: list[Ring | RingStop | Replaced] = []
        self._heard = asyncio.Condition()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        await self.socket.__aenter__()
        self._tasks = (asyncio.create_task(self._hear_events()), asyncio.create_task(self._hear_alerts()))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.socket.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ring(self, call_id: str, within_s: float = PATIENCE_S) -> Ring:
        """The ring of that call on this device."""
        return await self._wait(
            f"{self.label} did not ring",
            lambda: next((a for a in self.alerts if isinstance(a, Ring) and a.call_id == call_id), None),
            within_s,
        )

    async def ring_stop(self, call_id: str, within_s: float = PATIENCE_S) -> RingStop:
        """The end of that ring."""
        return await self._wait(
            f"{self.label} was not told to stop ringing",
            lambda: next((a for a in self.alerts if isinstance(a, RingStop) and a.call_id == call_id), None),
            within_s,
        )

    async def event(self, call_id: str, type_: str, user_id: str | None = None, within_s: float = PATIENCE_S) -> Event:
        """The first event of that call and type (about that participant)."""
        return await self._wait(
            f"{self.label} did not hear {type_}" + (f" of {user_id}" if user_id else ""),
            lambda: next((e for e in self.events if _is(e, call_id, type_, user_id)), None),
            within_s,
        )

    async def _wait(self, otherwise: str, look: Callable[[], T | None], within_s: float) -> T:
        try:
            async with asyncio.timeout(within_s), self._heard:
                while (found := look()) is None:
                    await self._heard.wait()
                return found
        except TimeoutError:
            raise NotAsTold(f"{otherwise} within {within_s:.0f} s") from None

    async def _hear_events(self) -> None:
        async for event in self.socket.events:
            self.events.append(event)
            await self._tell()

    async def _hear_alerts(self) -> None:
        async for alert in self.socket.rings:
            self.alerts.append(alert)
            await self._tell()

    async def _tell(self) -> None:
        async with self._heard:
            self._heard.notify_all()


def _is(event: Event, call_id: str, type_: str, user_id: str | None) -> bool:
    return event.call_id == call_id and event.type == type_ and user_id in {None, event.user_id}


class Cast:
    """Ana with a laptop, Ben with a phone and a tablet, Cy with a desk phone, Dee with a television."""

    def __init__(self, url: str, backend: Client) -> None:
        self._url = url
        self._backend = backend
        self._devices: list[Device] = []

    async def __aenter__(self) -> Self:
        names = {"ana": "Ana", "ben": "Ben", "cy": "Cy", "dee": "Dee"}
        for user_id, name in names.items():
            await self._backend.users.put(user_id, name=name)
        self.ana = await self._connect("ana", "Ana's laptop", "laptop", "desktop")
        self.ben_phone = await self._connect("ben", "Ben's phone", "phone", "ios")
        self.ben_tablet = await self._connect("ben", "Ben's tablet", "tablet", "android")
        self.cy = await self._connect("cy", "Cy's browser", "browser", "web")
        self.dee = await self._connect("dee", "Dee's browser", "browser", "web")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(device.__aexit__() for device in self._devices), return_exceptions=True)

    async def _connect(self, user_id: str, label: str, device_id: str, platform: str) -> Device:
        await self._backend.users.put_device(user_id, device_id, platform)
        token = (await self._backend.users.token(user_id)).token
        device = await Device(self._url, token, user_id, label, device_id, platform).__aenter__()
        self._devices.append(device)
        return device
