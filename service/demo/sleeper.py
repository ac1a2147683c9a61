"""An Android phone whose app does not run: no socket, no login. What comes in a push is all that it has."""

from typing import Any

import httpx2
import orjson

from service.demo.google import Google, Push
from service.demo.teller import NotAsTold


class Sleeper:
    """`device_token` is the address that Google knows it by."""

    def __init__(self, google: Google, device_token: str) -> None:
        self._google = google
        self.device_token = device_token

    async def woken(self, call_id: str, kind: str = "call.ring") -> Push:
        """What wakes it for that call."""
        return await self._google.push(self.device_token, call_id, kind)

    async def post(self, push: Push, link: str) -> dict[str, Any]:
        """Go to one of the push's links (`ack`, `decline`, `answer`), with its action token."""
        address = push.payload["links"][link]
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(address, headers={"authorization": f"Bearer {push.payload['action_token']}"})
        if answer.status_code != httpx2.codes.OK:
            raise NotAsTold(f"POST {address} was answered with {answer.status_code}: {answer.text}")
        body: dict[str, Any] = orjson.loads(answer.content)
        return body
