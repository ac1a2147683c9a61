"""One socket's conversation: hello, welcome, then commands one after the other, until it is gone.

Nothing runs while nothing is said. Commands of one socket are done in order; pings, and SDP and ICE with nothing before
them, are answered at once.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError

from service.api import calling
from service.api.auth import Admitted
from service.api.connections import Asker, connection_of
from service.api.errors import RefusedError, invalid, rate_limited, refusal_of
from service.api.strict import MalformedError, parse
from service.api.ws.allowance import Allowance
from service.api.ws.commands import COMMANDS, FRAMES, relay, relay_now
from service.api.ws.deps import SocketDeps
from service.api.ws.lane import Lane, Work
from service.api.ws.media import count, hand_in, hear_again, is_for_desk
from service.api.ws.presence import PRESENCE
from service.api.ws.transport import Reader, SocketProtocol
from service.api.ws.welcome import welcome
from service.core.refusals import Code
from service.core.rights import Credential, TokenKind
from service.live.framing import json_frame
from service.live.session import Session
from service.store.connections import Connection
from service.store.database import StoreUnavailableError
from service.wire.canonical import rfc3339
from service.wire.feed import new_id
from service.wire.frames import Frame, Hello, Ping, RtcCandidates, RtcDescription

NOT_WELCOME = 4401
TRY_LATER = 1013
RETRY_AFTER_S = 1

F = TypeVar("F", bound=Frame)


class Conversation(Reader):
    """What one client says and is answered. `ws_url` is how clients reach this endpoint; `busy` holds what runs."""

    __slots__ = (
        "_admitted",
        "_allowance",
        "_busy",
        "_deps",
        "_greeting",
        "_lane",
        "_media",
        "_session",
        "_socket",
        "_ws_url",
    )

    def __init__(self, deps: SocketDeps, socket: SocketProtocol, ws_url: str, busy: set[asyncio.Task[None]]) -> None:
        self._deps = deps
        self._socket = socket
        self._ws_url = ws_url
        self._busy = busy
        self._allowance = Allowance(deps.config.frames_per_s, deps.config.burst)
        self._lane = Lane(busy)
        self._media: Lane | None = None
        self._greeting: asyncio.TimerHandle | None = None
        self._session: Session | None = None
        self._admitted: Admitted | None = None

    def begin(self) -> None:
        """Wait for the hello."""
        if self._socket.attach(self):
            self._greeting = asyncio.get_running_loop().call_later(self._deps.config.hello_s, self._no_hello)

    # What the socket tells

    def received(self, message: bytes, *, binary: bool) -> None:
        """A message came: answer it, or put it behind those before it."""
        frame_id = None
        try:
            if not self._allowance.take(asyncio.get_running_loop().time()):
                raise rate_limited(RETRY_AFTER_S)
            if binary:
                raise RefusedError(Code.INVALID_REQUEST, "binary frames are not taken; send JSON as text")
            if self._admitted is None:
                self._before_welcome(message)
                return
            data = _object(message)
            frame_id = data.get("id")
            self._take(_frame(data))
        except Exception as error:  # noqa: BLE001 - a fault in one frame must not cost the connection
            refusal = refusal_of(error)
            self._say(_error(refusal, frame_id))
            if self._admitted is None:
                self._bye(NOT_WELCOME, refusal.code.value)

    def congested(self) -> None:
        if self._session:
            self._session.congested()

    def relieved(self) -> None:
        if self._session:
            self._session.relieved()

    def lost(self) -> None:
        """The client is gone; what it has asked for is still done."""
        self._stop_waiting()
        session = self._session
        if session:
            session.lost()
            self._deps.hub.leave(session)
            self._deps.watchers.leave(session)
            self._do(partial(self._deps.attendance.leave, session.connection))

    # Frames

    def _before_welcome(self, message: bytes) -> None:
        if self._greeting:
            self._stop_waiting()
            self._do(partial(self._hello, message))
        elif len(self._lane) < self._deps.config.pending_commands:
            self._do(partial(self._later, message))
        else:
            self._say(_error(rate_limited(RETRY_AFTER_S), _id_of(message)))

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Ping):
            self._say({"type": "pong", "server_time": self._now(), **_echo(frame.id)})
            return
        self._count(frame)
        idle, desk = self._lane.idle, is_for_desk(frame)
        if idle and not desk and self._relayed(frame):
            return
        if len(self._lane) + len(self._media or ()) >= self._deps.config.pending_commands:
            raise rate_limited(RETRY_AFTER_S)
        if desk:
            # A worker that is being started is waited for; a hang-up is not kept waiting by that.
            if idle:
                self._media_lane().do(partial(self._command, frame))
            else:
                self._do(partial(self._to_media, frame))
        else:
            self._do(partial(self._command, frame))

    def _relayed(self, frame: Frame) -> bool:
        """Whether that was something between clients, and is done."""
        if not isinstance(frame, RtcDescription | RtcCandidates) or self._session is None:
            return False
        if not relay_now(self._deps.relay, self._session, frame):
            return False
        if frame.id is not None:
            self._say({"type": "result", "id": frame.id})
        return True

    def _count(self, frame: Frame) -> None:
        """What is passed on between clients costs next to nothing."""
        if self._admitted is None:
            return
        if is_for_desk(frame):
            count(self._deps.api.limits, self._admitted.principal, frame)
        elif not isinstance(frame, RtcDescription | RtcCandidates):
            self._deps.api.limits.count(self._admitted.principal)

    async def _to_media(self, frame: Frame) -> None:
        """The commands before it are done."""
        self._media_lane().do(partial(self._command, frame))

    def _media_lane(self) -> Lane:
        if self._media is None:
            self._media = Lane(self._busy)
        return self._media

    async def _later(self, message: bytes) -> None:
        """What was said while the welcome was being prepared."""
        if self._admitted:
            self.received(message, binary=False)

    async def _command(self, frame: Frame) -> None:
        session = self._session
        if session is None:
            raise RuntimeError("a command without a session")
        session.corked = True  # what the command tells this client goes out with its result
        try:
            answer = await self._answer(frame, session)
        except Exception as error:  # noqa: BLE001 - the last one to see it; it is logged and answered
            self._say(_error(refusal_of(error), frame.id))
        else:
            if frame.id is not None or not isinstance(frame, RtcDescription | RtcCandidates):
                self._say({"type": "result", "id": frame.id, **answer})
        finally:
            session.corked = False

    async def _answer(self, frame: Frame, session: Session) -> dict[str, Any]:
        admitted = self._admitted
        if admitted is None:
            raise RuntimeError("a command before the welcome")
        if is_for_desk(frame):
            return await hand_in(self._deps.desk, session, admitted.principal, frame)
        if isinstance(frame, RtcDescription | RtcCandidates):
            return await relay(self._deps.relay, session, frame)
        app = await self._deps.api.book.app(admitted.principal.app_id)
        if app is None or app.suspended:
            raise RefusedError(Code.NOT_AUTHORIZED, "the app is suspended")
        asker = Asker(self._deps.api, replace(admitted, app=app), self._ws_url)
        if act := PRESENCE.get(type(frame)):
            return await act(self._deps, session, asker, frame)
        return await COMMANDS[type(frame)](asker, frame)

    # Hello

    async def _hello(self, message: bytes) -> None:
        try:
            hello = _hello(message)
            admitted = await self._admit(hello)
            await self._enter(hello, admitted)
        except Exception as error:  # noqa: BLE001 - the last one to see it; it is logged and answered
            refusal = refusal_of(error)
            self._say(_error(refusal, None))
            later = refusal.code in {Code.SERVICE_UNAVAILABLE, Code.INTERNAL_ERROR}
            self._bye(TRY_LATER if later else NOT_WELCOME, refusal.code.value)

    async def _admit(self, hello: Hello) -> Admitted:
        admitted = await self._deps.api.gate.admit(hello.token)
        principal = admitted.principal
        if principal.credential is not Credential.USER:
            raise RefusedError(Code.NOT_AUTHORIZED, "a socket needs a user token")
        if principal.device_id not in {None, hello.device_id}:
            raise RefusedError(Code.NOT_AUTHORIZED, "this token acts for its own device only")
        self._deps.api.limits.count(principal)
        await calling.check_token_of_call(self._deps.api, principal)
        return replace(admitted, principal=replace(principal, device_id=hello.device_id))

    async def _enter(self, hello: Hello, admitted: Admitted) -> None:
        deps, principal = self._deps, admitted.principal
        connection = Connection(
            new_id(),
            principal.app_id,
            principal.user_id or "",
            hello.device_id,
            hello.platform.value,
            hello.app_version,
            guest=principal.kind is TokenKind.GUEST,
            only_call=UUID(principal.call_id) if principal.call_id else None,
        )
        session = Session(
            connection,
            self._socket,
            deps.config.session,
            only_call=principal.call_id,
            ring_me=self._ring_me,
            restart_me=self._restart_me,
        )
        if self._socket.disconnected:
            return
        self._session = session
        # First the database: when the older socket of the device is closed, its row is gone and nobody was told.
        arrival = await deps.attendance.arrive(connection)
        await deps.relay.close_elsewhere(arrival.older)
        if session.closed:
            return
        deps.hub.enter(session)
        deps.watchers.come(session)
        await welcome(deps, session, hello.resume_after)
        deps.watchers.release(session)
        self._admitted = admitted
        for call_id in session.active:
            if (call := deps.hub.call(call_id)) and call.room and call.room.host:
                self._media_lane().do(partial(hear_again, deps.desk, session, principal, UUID(call_id)))

    def _ring_me(self, call_id: str) -> None:
        self._do(partial(self._ring, UUID(call_id)))

    async def _ring(self, call_id: UUID) -> None:
        session = self._session
        if session and not session.closed:
            try:
                await self._deps.attendance.ring(session.connection, call_id)
            except StoreUnavailableError:
                return  # the device acknowledges or answers as well without its alert

    def _restart_me(self, call_id: str, epoch: int) -> None:
        self._do(partial(self._restart, call_id, epoch))

    async def _restart(self, call_id: str, epoch: int) -> None:
        """Another media worker carries the call: tell this device, with what it needs to offer to it."""
        admitted, session, call = self._admitted, self._session, self._deps.hub.call(call_id)
        if admitted is None or session is None or session.closed or call is None:
            return
        if (watch := session.watches.get(call_id)) is None or watch.carried != epoch:
            return  # it has left, or is told of a later one
        asker = Asker(self._deps.api, admitted, self._ws_url)
        try:
            connection = await connection_of(asker, call, session.connection.user_id, session.connection.device_id)
        except StoreUnavailableError:
            loop = asyncio.get_running_loop()
            loop.call_later(self._deps.config.restart_again_s, self._restart_me, call_id, epoch)
            return
        self._say({"type": "media.restart", "call_id": call_id, "epoch": epoch, "connection": connection})

    def _no_hello(self) -> None:
        self._greeting = None
        self._say(_error(RefusedError(Code.NOT_AUTHENTICATED, "no hello came in time"), None))
        self._bye(NOT_WELCOME, "no hello came in time")

    # Doing and saying

    def _do(self, work: Work) -> None:
        self._lane.do(work)

    def _say(self, frame: dict[str, Any]) -> None:
        data = json_frame(frame)
        if self._session:
            self._session.send(data)
        else:
            self._socket.write(data)

    def _bye(self, code: int, reason: str) -> None:
        if self._session:
            self._session.close(code, reason)
        else:
            self._socket.close(code, reason)

    def _stop_waiting(self) -> None:
        if self._greeting:
            self._greeting.cancel()
            self._greeting = None

    def _now(self) -> str:
        return rfc3339(datetime.fromtimestamp(self._deps.api.clock(), UTC))


def _object(message: bytes) -> dict[str, Any]:
    try:
        data = parse(message)
    except MalformedError as error:
        raise RefusedError(Code.INVALID_REQUEST, str(error)) from None
    if not isinstance(data, dict):
        raise RefusedError(Code.INVALID_REQUEST, "a frame is a JSON object")
    return data


def _id_of(message: bytes) -> object:
    """The `id` of a frame that is not looked at any further."""
    try:
        return _object(message).get("id")
    except RefusedError:
        return None


def _frame(data: dict[str, Any]) -> Frame:
    kind = data.get("type")
    model = FRAMES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise RefusedError(Code.INVALID_REQUEST, "type: there is no such frame")
    return _shaped(model, data)


def _hello(message: bytes) -> Hello:
    data = _object(message)
    if data.get("type") != "hello":
        raise RefusedError(Code.NOT_AUTHENTICATED, "the first frame must be a hello")
    return _shaped(Hello, data)


def _shaped(model: type[F], data: dict[str, Any]) -> F:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(error) from None


def _error(refusal: RefusedError, frame_id: object) -> dict[str, Any]:
    problem = refusal.problem()
    for name, value in refusal.headers:
        if name == b"retry-after":
            problem["retry_after_s"] = int(value)
    return {"type": "error", **_echo(frame_id), "problem": problem}


def _echo(frame_id: object) -> dict[str, Any]:
    return {"id": frame_id} if isinstance(frame_id, str | int) and not isinstance(frame_id, bool) else {}
