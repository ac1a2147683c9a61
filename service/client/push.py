"""What the app pushes with: credentials of its channels, uploaded once and never told again."""

from collections.abc import Mapping
from typing import Any

from service.client.http import Door, segment
from service.client.shapes import PushCredentials, shaped

PRODUCTION = "production"


class Push:
    """`/v1/push-credentials`, for a backend alone. `channel`: `apns`, `fcm`, `webpush`, `email` or `message`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def put(
        self, channel: str, credentials: Mapping[str, Any], *, environment: str = PRODUCTION
    ) -> PushCredentials:
        """Upload credentials in place of those before; `sandbox` is for APNs alone."""
        return shaped(await self._door.ask("PUT", _path(channel, environment), credentials), PushCredentials)

    async def all(self) -> list[PushCredentials]:
        """What may be told of them, and whether their providers take them."""
        return [shaped(item, PushCredentials) async for item in self._door.pages("/push-credentials")]

    async def delete(self, channel: str, *, environment: str = PRODUCTION) -> None:
        """Forget credentials: nothing goes out by that channel any more."""
        await self._door.ask("DELETE", _path(channel, environment))


def _path(channel: str, environment: str) -> str:
    return f"/push-credentials/{segment(channel)}/{segment(environment)}"
