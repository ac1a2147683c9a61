"""Webhook endpoints, and the check of what arrives at them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from service.client.feed import Event
from service.client.http import Door, segment
from service.client.shapes import Delivery, Webhook, shaped
from service.wire.signatures import SignatureError, verify

Secrets = str | Sequence[str]
"""The endpoint's secret, or both while it is being rotated."""


def verify_webhook(secrets: Secrets, headers: Mapping[str, str], body: bytes, now: float) -> Event:
    """The event in a request that arrived at the endpoint.

    `body` is the request's body as it came, byte by byte; `now` is in Unix seconds (`time.time()`). An event may come
    more than once: `event.data["event_id"]` (the header `webhook-id`) is then the same. Raises `SignatureError` when
    it is not from the service, was changed, or is older than five minutes.
    """
    message_id = verify([secrets] if isinstance(secrets, str) else secrets, headers, body, now)
    event = Event(orjson.loads(body))
    if event.data.get("event_id", message_id) != message_id:
        raise SignatureError("the id in the header is not the event's")
    return event


class Webhooks:
    """`/v1/webhooks`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def create(
        self,
        url: str,
        types: Sequence[str] = (),
        *,
        description: str | None = None,
        headers: Mapping[str, str] | None = None,
        format: str | None = None,  # noqa: A002 - the field of that name
    ) -> Webhook:
        """Send events to `url`: all, or those whose type matches (`call.*`). The `secret` is told this once.

        `headers` are sent along with each; their values are never told again. `format` (`csta`, `tapi`, `asterisk`,
        `graph`) tells presence in those words, too.
        """
        body: dict[str, Any] = {"url": url}
        if types:
            body["types"] = list(types)
        if description:
            body["description"] = description
        if headers:
            body["headers"] = dict(headers)
        if format:
            body["format"] = format
        return shaped(await self._door.ask("POST", "/webhooks", body), Webhook)

    async def get(self, webhook_id: str) -> Webhook:
        """One endpoint."""
        return shaped(await self._door.ask("GET", f"/webhooks/{segment(webhook_id)}"), Webhook)

    async def all(self) -> AsyncIterator[Webhook]:
        """Every endpoint of the app."""
        async for item in self._door.pages("/webhooks"):
            yield shaped(item, Webhook)

    async def change(self, webhook_id: str, fields: Mapping[str, Any]) -> Webhook:
        """Change `url`, `types`, `description`, `headers`, `format`, `enabled` or `paused`."""
        return shaped(await self._door.ask("PATCH", f"/webhooks/{segment(webhook_id)}", fields), Webhook)

    async def pause(self, webhook_id: str) -> Webhook:
        """Hold its events back; they wait for :meth:`resume`."""
        return await self.change(webhook_id, {"paused": True})

    async def resume(self, webhook_id: str) -> Webhook:
        """Send what waited, in order, and go on."""
        return await self.change(webhook_id, {"paused": False})

    async def rotate_secret(self, webhook_id: str, *, overlap_s: int | None = None) -> Webhook:
        """A new `secret`, told this once. The old one signs beside it for a day, or for `overlap_s` seconds."""
        body = {} if overlap_s is None else {"overlap_s": overlap_s}
        return shaped(await self._door.ask("POST", f"/webhooks/{segment(webhook_id)}/rotate-secret", body), Webhook)

    async def delete(self, webhook_id: str) -> None:
        """Send nothing there any more."""
        await self._door.ask("DELETE", f"/webhooks/{segment(webhook_id)}")

    async def deliveries(self, webhook_id: str, *, state: str | None = None) -> AsyncIterator[Delivery]:
        """What was sent there and how it went, newest first; `state`: those `pending`, `delivered` or `failed`."""
        async for item in self._door.pages(f"/webhooks/{segment(webhook_id)}/deliveries", {"state": state}):
            yield shaped(item, Delivery)

    async def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """One of them: what was sent and what was answered."""
        path = f"/webhooks/{segment(webhook_id)}/deliveries/{segment(delivery_id)}"
        return shaped(await self._door.ask("GET", path), Delivery)

    async def recover(
        self, webhook_id: str, since: datetime, *, until: datetime | None = None, delivered: bool = False
    ) -> int:
        """Send what was told since then and has not been taken there (`delivered`: also what has); how many that is."""
        queued = 0
        start: str | None = since.isoformat()
        while start is not None:
            body = {"since": start, "delivered": delivered, **({"until": until.isoformat()} if until else {})}
            answer = await self._door.ask("POST", f"/webhooks/{segment(webhook_id)}/recover", body)
            queued, start = queued + int(answer["queued"]), answer["resume_since"]
        return queued

    async def test(self, webhook_id: str) -> Delivery:
        """Send a `webhook.test` there; the log of deliveries says what became of it."""
        return shaped(await self._door.ask("POST", f"/webhooks/{segment(webhook_id)}/test"), Delivery)

    async def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send that event there once more, with the same id."""
        path = f"/webhooks/{segment(webhook_id)}/deliveries/{segment(delivery_id)}/redeliver"
        return shaped(await self._door.ask("POST", path), Delivery)
