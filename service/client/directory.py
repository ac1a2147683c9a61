"""People, their devices, their tokens and where they are."""

from collections.abc import AsyncIterator
from typing import Any

from service.client.feed import Event, followed, read_page
from service.client.http import Door, segment
from service.client.shapes import Device, Presence, Token, User, shaped

CHANGES = "/presence/changes"
AT_ONCE = 200
"""Users of whom one request asks."""


class Users:
    """`/v1/users` and the devices below."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def put(self, user_id: str, **fields: Any) -> User:
        """Make or change a user: `name`, `avatar_url`, `email`, `phone`, `locale`, `do_not_disturb`, …."""
        return shaped(await self._door.ask("PUT", f"/users/{segment(user_id)}", fields), User)

    async def get(self, user_id: str) -> User:
        """One user."""
        return shaped(await self._door.ask("GET", f"/users/{segment(user_id)}"), User)

    async def all(self) -> AsyncIterator[User]:
        """Every user of the app."""
        async for item in self._door.pages("/users"):
            yield shaped(item, User)

    async def delete(self, user_id: str) -> None:
        """Forget a user; their calls end (scenario 60)."""
        await self._door.ask("DELETE", f"/users/{segment(user_id)}")

    async def revoke_tokens(self, user_id: str) -> None:
        """Refuse every token issued to that user so far, and close their sockets."""
        await self._door.ask("POST", f"/users/{segment(user_id)}/revoke-tokens")

    async def put_device(self, user_id: str, device_id: str, platform: str = "web", **fields: Any) -> Device:
        """Register a device: `push`, `hardware_id`, `app_version`."""
        body = {"platform": platform, **fields}
        return shaped(await self._door.ask("PUT", self._device(user_id, device_id), body), Device)

    async def devices(self, user_id: str) -> list[Device]:
        """The user's devices."""
        return [shaped(item, Device) async for item in self._door.pages(f"/users/{segment(user_id)}/devices")]

    async def delete_device(self, user_id: str, device_id: str) -> None:
        """Unregister a device; it stops ringing (scenario 57)."""
        await self._door.ask("DELETE", self._device(user_id, device_id))

    async def token(self, user_id: str, **claims: Any) -> Token:
        """A token for that user's app: `ttl_s` (3600), `role`, `name`, `call_id`, `data`, `kind`."""
        return shaped(await self._door.ask("POST", "/tokens", {"user_id": user_id, **claims}), Token)

    @staticmethod
    def _device(user_id: str, device_id: str) -> str:
        return f"/users/{segment(user_id)}/devices/{segment(device_id)}"


class Whereabouts:
    """Presence: online, offline or busy, with whom and on which device."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def get(self, user_id: str, *, format_: str | None = None) -> Presence:
        """One user; `format_` `csta`, `tapi`, `asterisk` or `graph` adds `mapped`."""
        path = f"/users/{segment(user_id)}/presence"
        return shaped(await self._door.ask("GET", path, params={"format": format_}), Presence)

    async def of(self, *user_ids: str, format_: str | None = None) -> list[Presence]:
        """These users, however many, without those who are not known."""
        found: list[Presence] = []
        for start in range(0, len(user_ids), AT_ONCE):
            asked = {"user_id": list(user_ids[start : start + AT_ONCE]), "format": format_}
            answer = await self._door.ask("GET", "/presence", params=asked)
            found += [shaped(item, Presence) for item in answer["items"]]
        return found

    async def all(self, *, format_: str | None = None) -> AsyncIterator[Presence]:
        """Everybody in the app."""
        async for item in self._door.pages("/presence", {"limit": AT_ONCE, "format": format_}):
            yield shaped(item, Presence)

    async def put(self, user_id: str, source: str, *, expires_in_s: int, **fields: Any) -> Presence:
        """Set from outside, for a time: `state`, `activity`, `do_not_disturb`, `away`, `busy_with`."""
        body = {"source": source, "expires_in_s": expires_in_s, **fields}
        return shaped(await self._door.ask("PUT", f"/users/{segment(user_id)}/presence", body), Presence)

    async def changes(
        self,
        after: str | None = None,
        *,
        only: str | None = None,
        limit: int = 200,
        wait_s: int = 0,
        format_: str | None = None,
    ) -> tuple[list[Event], str | None]:
        """One page of changes behind the cursor and the cursor to go on from; `only="newest"` for who is far behind.

        With `format_` each has `mapped` in its `envelope`.
        """
        asked = {"only": only, "limit": limit, "format": format_}
        events, place, _ = await read_page(self._door, CHANGES, after, wait_s=wait_s, **asked)
        return events, place

    def follow(
        self, after: str | None = None, *, only: str | None = None, format_: str | None = None
    ) -> AsyncIterator[Event]:
        """Every change behind the cursor and then, for ever, as they come; see :meth:`Feed.follow`."""
        return followed(self._door, CHANGES, after, only=only, format=format_)

    async def delete(self, user_id: str, source: str) -> None:
        """Take back what that source said."""
        await self._door.ask("DELETE", f"/users/{segment(user_id)}/presence", params={"source": source})
