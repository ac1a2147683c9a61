"""A backend's webhook endpoint, as small as it can be: an HTTP server that verifies and counts what it gets."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import orjson

from service.client import Event
from service.demo.endpoint import Endpoint, Request

Verify = Callable[[dict[str, str], bytes], bool]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request that came in. `at` is in seconds of the play's clock; `answered` is the status sent back."""

    webhook_id: str
    at: float
    verified: bool
    event: Event
    answered: int


class Receiver:
    """Listens on a free port of this machine; refuses the first `call.created` with a 500, to see it come again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._verify: Verify | None = None
        self._endpoint = Endpoint(self._answer)
        self._came = asyncio.Condition()
        self.deliveries: list[Delivery] = []

    async def __aenter__(self) -> Self:
        await self._endpoint.__aenter__()
        self.url = f"{self._endpoint.url}/hookswitch"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._endpoint.__aexit__(*exc)

    def trust(self, verify: Verify) -> None:
        """From now on check signatures with this."""
        self._verify = verify

    @property
    def accepted(self) -> list[Delivery]:
        """Those answered with a 2xx, in order of arrival."""
        return [delivery for delivery in self.deliveries if delivery.answered < 300]

    @property
    def refused(self) -> list[Delivery]:
        """Those answered with a 500."""
        return [delivery for delivery in self.deliveries if delivery.answered >= 300]

    async def got(self, event_ids: set[str], within_s: float) -> set[str]:
        """Wait until all these events have been accepted; what is still missing when the time is up."""
        missing = set(event_ids)
        try:
            async with asyncio.timeout(within_s), self._came:
                while missing := event_ids - {delivery.webhook_id for delivery in self.accepted}:
                    await self._came.wait()
        except TimeoutError:
            pass
        return missing

    async def _answer(self, request: Request) -> tuple[int, bytes]:
        status = self._keep(request.headers, request.body)
        async with self._came:
            self._came.notify_all()
        return status, b""

    def _keep(self, headers: dict[str, str], body: bytes) -> int:
        webhook_id = headers.get("webhook-id", "")
        verified = self._verify is not None and self._verify(headers, body)
        event = Event(orjson.loads(body))
        status = 500 if event.type == "call.created" and not self.refused else 204
        self.deliveries.append(Delivery(webhook_id, self._clock(), verified, event, status))
        return status
