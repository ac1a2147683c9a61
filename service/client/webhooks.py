"""Webhook endpoints, and the check of what arrives at them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from service.client.http import Door, segment
from service.client.shapes import Delivery, Webhook, shaped


class Webhooks:
    """`/v1/webhooks`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def create(self, url: str, types: Sequence[str] = (), *, description: str | None = None) -> Webhook:
        """Send events to `url`: all, or those whose type matches (`call.*`). The `secret` is told this once."""
        body: dict[str, Any] = {"url": url}
        if types:
            body["types"] = list(types)
        if description:
            body["description"] = description
        return shaped(await self._door.ask("POST", "/webhooks", body), Webhook)

    async def get(self, webhook_id: str) -> Webhook:
        """One endpoint."""
        return shaped(await self._door.ask("GET", f"/webhooks/{segment(webhook_id)}"), Webhook)

    async def all(self) -> AsyncIterator[Webhook]:
        """Every endpoint of the app."""
        async for item in self._door.pages("/webhooks"):
            yield shaped(item, Webhook)

    async def change(self, webhook_id: str, fields: Mapping[str, Any]) -> Webhook:
        """Change `url`, `types`, `description` or `enabled`."""
        return shaped(await self._door.ask("PATCH", f"/webhooks/{segment(webhook_id)}", fields), Webhook)

    async def delete(self, webhook_id: str) -> None:
        """Send nothing there any more."""
        await self._door.ask("DELETE", f"/webhooks/{segment(webhook_id)}")

    async def deliveries(self, webhook_id: str) -> AsyncIterator[Delivery]:
        """What was sent there and how it went, newest first."""
        async for item in self._door.pages(f"/webhooks/{segment(webhook_id)}/deliveries"):
            yield shaped(item, Delivery)
