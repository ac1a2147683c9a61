"""`/v1/ws`: from the handshake to a conversation."""

import asyncio

from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from service.api.connections import WS_PATH, ws_url_of
from service.api.ws.conversation import Conversation
from service.api.ws.deps import SocketDeps
from service.api.ws.transport import EXTENSION

SUBPROTOCOL = "hookswitch.v1"


class SocketEndpoint:
    """The ASGI application behind the route. It returns as soon as the conversation has begun."""

    def __init__(self, deps: SocketDeps) -> None:
        self._deps = deps
        self._busy: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept, with the sub-protocol when it was offered. Raises `RuntimeError` under another server's protocol."""
        await receive()
        socket = scope["extensions"].get(EXTENSION)
        if socket is None:
            message = "sockets need uvicorn with ws=SocketProtocol"
            raise RuntimeError(message)
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        ws_url = ws_url_of(self._deps.api, HTTPConnection(scope))
        Conversation(self._deps, socket, ws_url, self._busy).begin()


def ws_route(deps: SocketDeps) -> WebSocketRoute:
    """The route of the live socket, to be added to the application's router."""
    return WebSocketRoute(WS_PATH, SocketEndpoint(deps))
