"""uvicorn's WebSocket protocol with a short way through it.

ASGI hands every message over as a dictionary through a queue, pauses the transport while the application thinks, and
makes a slow reader everybody's problem: `send` waits for good. A socket taken over with :meth:`SocketProtocol.attach`
hands messages to its reader as they come, writes frames that are encoded already straight to the transport, and can be
closed although the client does not read. The handshake, fragments, pings and closing stay uvicorn's.

Give it to uvicorn with `ws=SocketProtocol, ws_per_message_deflate=False`: frames are written as they are.
"""

from abc import ABC, abstractmethod

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "hookswitch.socket"
LINGER_S = 10.0
"""How long a client may take to read the good-bye."""
NOT_UTF8 = 1007


class Reader(ABC):
    """Who took a socket over. No method may block or raise."""

    @abstractmethod
    def received(self, message: bytes, *, binary: bool) -> None:
        """A whole message came; a text is valid UTF-8."""

    @abstractmethod
    def congested(self) -> None:
        """The transport holds all it will hold."""

    @abstractmethod
    def relieved(self) -> None:
        """The transport takes more again."""

    @abstractmethod
    def lost(self) -> None:
        """The connection is gone; called once."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One connection. Also the `Outlet` of its session."""

    _reader: Reader | None = None

    def attach(self, reader: Reader) -> bool:
        """Take the socket over, after it was accepted; false when it is gone already."""
        if self.disconnected or self.close_sent:
            return False
        self._reader = reader
        # What the handshake needed; an idle socket is cheap without it.
        for name in ("request", "response", "scope"):
            vars(self).pop(name, None)
        return True

    def write(self, frames: bytes) -> None:
        """Send whole frames."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

    def close(self, code: int, reason: str) -> None:
        """Say good-bye behind what was written; a client that does not read it is cut off after a moment."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    # What uvicorn calls

    async def run_asgi(self) -> None:
        """The application accepts or refuses; a socket that was taken over lives on when it returns."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except Exception:
            self.logger.exception("a socket could not be opened")
        if self._reader is None:
            self.send_500_response()  # says nothing when the handshake was answered
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """The handshake: the application finds the way to here in its scope."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """A whole message has come."""
        if self._reader is None:
            super().send_receive_event_to_app()
            return
        message = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        binary = self.curr_msg_data_type == "bytes"
        if self.close_sent:
            return
        if not binary and not message.isascii() and not _is_utf8(message):
            self.close(NOT_UTF8, "a text message must be UTF-8")
            return
        self._reader.received(message, binary=binary)

    def keepalive_timeout(self) -> None:
        """Nobody is there: nothing that is still to be written will be read."""
        super().keepalive_timeout()
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reader is not None:
            self._reader.congested()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader is not None:
            self._reader.relieved()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._reader is not None:
            self._reader.lost()


def _is_utf8(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
