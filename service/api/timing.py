"""How long requests take, by route and class of status."""

from collections.abc import Callable

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNKNOWN = "-"


class Timing:
    """Around the whole application; `clock` gives seconds of any origin. Long polls and sockets are left out."""

    def __init__(self, app: ASGIApp, histogram: Histogram, clock: Callable[[], float]) -> None:
        self._app = app
        self._histogram = histogram
        self._clock = clock
        self._known: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or b"wait_s=" in scope["query_string"]:
            await self._app(scope, receive, send)
            return
        began = self._clock()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN)
            method = scope["method"] if route is not UNKNOWN else UNKNOWN  # anybody can make up a method
            self._of(method, route, status // 100).observe(self._clock() - began)

    def _of(self, method: str, route: str, status: int) -> Histogram:
        key = (method, route, status)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._histogram.labels(method, route, f"{status}xx")
        return known
