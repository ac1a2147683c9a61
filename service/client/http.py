"""One HTTP conversation with the service: the credential, JSON both ways, problems, retries that are safe."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from service.client.problems import Refused, Unreachable

REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
TRIES = 3
LONGEST_WAIT_S = 5.0


def segment(text: str) -> str:
    """A path segment: ids may contain any character."""
    return quote(text, safe="")


class Door:
    """The way in to one service with one credential (an API key, a user token or a ring action token)."""

    def __init__(self, http: httpx2.AsyncClient, credential: str) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {credential}"}

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        wait_s: float = 0.0,
    ) -> Any:
        """The answer's JSON, or `None` without a body. `key` is an Idempotency-Key, `wait_s` time for a long poll.

        What may be asked twice without harm is asked again when the service is away for a moment. Raises `Refused`
        and `Unreachable`.
        """
        response = await self.answer(method, path, body, params, key=key, wait_s=wait_s)
        return orjson.loads(response.content) if response.content else None

    async def answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        wait_s: float = 0.0,
        expected: frozenset[int] = frozenset(),
        accept: str | None = None,
    ) -> httpx2.Response:
        """As :meth:`ask`, with the status and headers; an `expected` status is no refusal."""
        request = self._http.build_request(
            method,
            f"/v1{path}",
            content=None if body is None else orjson.dumps(dict(body)),
            params={name: value for name, value in (params or {}).items() if value is not None},
            headers=self._headers
            | ({"content-type": "application/json"} if body is not None else {})
            | ({"idempotency-key": key} if key else {})
            | ({"accept": accept} if accept else {}),
            timeout=httpx2.Timeout(self._http.timeout.connect, read=(self._http.timeout.read or 0) + wait_s or None),
        )
        repeatable = method in REPEATABLE or key is not None
        tries = TRIES
        while True:
            tries -= 1
            try:
                return await self._once(request, expected)
            except Unreachable:
                if not (repeatable and tries):
                    raise
                wait = 0.2 * (TRIES - tries)
            except Refused as refused:
                # A 429 was turned away at the door; of a 503 nobody knows what was done.
                again = refused.status == 429 or (refused.status == 503 and repeatable)
                if not (again and tries) or refused.retry_after_s is None or refused.retry_after_s > LONGEST_WAIT_S:
                    raise
                wait = refused.retry_after_s
            await asyncio.sleep(wait)

    async def pages(self, path: str, params: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """Every item of a cursor list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.ask("GET", path, params={**(params or {}), "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    async def _once(self, request: httpx2.Request, expected: frozenset[int]) -> httpx2.Response:
        try:
            response = await self._http.send(request)
        except (httpx2.TransportError, httpx2.DecodingError) as fault:
            raise Unreachable(f"{request.method} {request.url.path}: {type(fault).__name__} {fault}".strip()) from fault
        if response.is_success or response.status_code in expected:
            return response
        raise Refused(_problem(response), _seconds(response.headers.get("retry-after")))


def _problem(response: httpx2.Response) -> dict[str, Any]:
    """The problem+json of a refusal; something between client and service may answer otherwise."""
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        problem = None
    if isinstance(problem, dict):
        return {"status": response.status_code, **problem}
    return {"status": response.status_code, "code": "error", "title": response.reason_phrase}


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
