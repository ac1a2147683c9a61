"""The application: every route, and nothing between them and the server but one guard."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from service.api.deps import Deps
from service.api.door import SLASH
from service.api.errors import reply_to
from service.api.openapi import document
from service.api.replies import Reply
from service.api.rest import (
    app,
    calls,
    deliveries,
    devices,
    docs,
    events,
    health,
    ice,
    integrity,
    presence,
    presence_changes,
    push_credentials,
    rings,
    rules,
    tokens,
    trace,
    users,
    webhooks,
    whip,
)
from service.core.refusals import Code
from service.wire.problems import CONTENT_TYPE, problem

TITLE = "Hookswitch"
ROUTERS: tuple[APIRouter, ...] = (
    calls.routes,
    trace.routes,
    rings.routes,
    events.routes,
    tokens.routes,
    users.routes,
    devices.routes,
    presence_changes.routes,
    presence.routes,
    webhooks.routes,
    deliveries.routes,
    push_credentials.routes,
    rules.routes,
    ice.routes,
    whip.routes,
    app.routes,
    integrity.routes,
    health.routes,
    docs.routes,
)


class Guard:
    """The only middleware: encoded slashes survive routing, and every exception becomes a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if b"%" in scope.get("raw_path", b"") and not routable(scope):
            nowhere = problem(Code.NOT_FOUND, 404, "there is nothing at this address")
            await Reply(nowhere, 404, content_type=CONTENT_TYPE.encode())(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves the body out
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the last one to see it; it is logged and answered
            with bound_contextvars(**context_of(scope)):
                reply = reply_to(error)
            await reply(scope, receive, send)


def context_of(scope: Scope) -> dict[str, str | None]:
    """What a log line about this request should carry; the path names the call."""
    admitted = scope.get("admitted")
    who = {"app_id": admitted.principal.app_id, "user_id": admitted.principal.user_id} if admitted else {}
    return {**who, "method": scope["method"], "path": scope["path"]}


def routable(scope: Scope) -> bool:
    """Decode the path so that an encoded slash stays inside its segment; false for what is no UTF-8, or has NUL."""
    segments = scope["raw_path"].partition(b"?")[0].split(b"/")
    try:
        decoded = [unquote_to_bytes(segment).decode() for segment in segments]
    except UnicodeDecodeError:
        return False
    if any("\x00" in segment for segment in decoded):
        return False
    scope["path"] = "/".join(segment.replace("/", SLASH) for segment in decoded)
    return True


class FrontDoor(FastAPI):
    """FastAPI for the routes and their OpenAPI, without its middleware."""

    def __init__(self, deps: Deps, **options: Any) -> None:
        super().__init__(**options)
        self.deps = deps

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI, made when it is asked for the first time."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self.routes)
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        guarded = Guard(self.router)
        origins = self.deps.config.cors_origins
        if not origins:
            return guarded
        # Credentials travel in a header of their own, never in cookies, so `*` gives nothing away.
        return CORSMiddleware(
            guarded,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
            expose_headers=("Retry-After", "Location", "Link", "ETag", "Accept-Patch"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)


def build_api(deps: Deps, routers: Iterable[APIRouter] = ROUTERS) -> FrontDoor:
    """The ASGI application. Constructs nothing that lives on; everything is in `deps`."""
    front = FrontDoor(deps, title=TITLE, openapi_url=None, docs_url=None, redoc_url=None)
    front.router.redirect_slashes = False
    # Not include_router: it routes twice for each request.
    for router in routers:
        front.router.routes.extend(router.routes)
    return front
