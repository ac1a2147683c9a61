"""The client: one service, one credential, everything by noun; the four verbs of a telephone on top."""

from collections.abc import AsyncIterator
from typing import Any, Self

import httpx2

from service.client.calls import Calls, Participants, Rings
from service.client.directory import Users, Whereabouts
from service.client.feed import Feed
from service.client.http import Door
from service.client.push import Push
from service.client.shapes import Breach, Placed, shaped
from service.client.webhooks import Webhooks


class Client:
    """`async with Client(url, credential) as client: …`

    `credential` is an app's API key (then everything in the app), a user token (then that user) or a ring action
    token (then `rings` alone). `timeout_s` is for each try. One client serves many tasks at once.
    """

    def __init__(self, url: str, credential: str, *, timeout_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.AsyncClient(base_url=self.url, timeout=timeout_s, trust_env=False)
        self.door = Door(self._http, credential)
        self.users = Users(self.door)
        self.presence = Whereabouts(self.door)
        self.calls = Calls(self.door)
        self.rings = Rings(self.door)
        self.feed = Feed(self.door)
        self.webhooks = Webhooks(self.door)
        self.push = Push(self.door)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def call(self, initiator: str | None, participants: Participants, **options: Any) -> Placed:
        """Ring people; see :meth:`Calls.create`."""
        return await self.calls.create(initiator, participants, **options)

    async def answer(self, call_id: str, *, user_id: str | None = None, device_id: str | None = None) -> Placed:
        """Take a call."""
        return await self.calls.answer(call_id, user_id=user_id, device_id=device_id)

    async def decline(self, call_id: str, *, reason: str = "none", **fields: Any) -> Placed:
        """Refuse a call; `fields` are `message`, `user_id`, `device_id`."""
        return await self.calls.decline(call_id, reason=reason, **fields)

    async def hang_up(self, call_id: str, *, user_id: str | None = None) -> Placed:
        """Leave a call."""
        return await self.calls.hang_up(call_id, user_id=user_id)

    async def app(self) -> dict[str, Any]:
        """The app's settings and defaults."""
        answer: dict[str, Any] = await self.door.ask("GET", "/app")
        return answer

    async def change_app(self, **settings: Any) -> dict[str, Any]:
        """Change settings: `ring_timeout_s`, `sandbox`, `call_waiting`, …."""
        answer: dict[str, Any] = await self.door.ask("PATCH", "/app", settings)
        return answer

    async def integrity(self, call_id: str | None = None) -> AsyncIterator[Breach]:
        """What is wrong with what is kept of the app, or of one call: nothing, unless it was damaged.

        The service checks a part at a time, for two seconds at most, and calls go on meanwhile.
        """
        cursor: str | None = None
        while True:
            part = await self.door.ask("GET", "/integrity", params={"call_id": call_id, "cursor": cursor})
            for found in part["breaches"]:
                yield shaped(found, Breach)
            if (cursor := part["next_cursor"]) is None:
                return

    async def ice_servers(self) -> list[dict[str, Any]]:
        """STUN and TURN for the media, with credentials where needed."""
        answer = await self.door.ask("GET", "/ice-servers")
        servers: list[dict[str, Any]] = answer["ice_servers"]
        return servers
