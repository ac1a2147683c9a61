"""Takes the service's requests, keeps the rooms, and sends what they tell, numbered by epoch."""

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from service.media.worker import messages as said
from service.media.worker.control import VERSION
from service.media.worker.joining import NoConnectionError, connection_of, over_http
from service.media.worker.room import Room
from service.media.worker.sdp import OfferError

KEPT_REPORTS = 512
"""The last ones of a room are said again to a service that takes the worker over: it may have missed some."""
MOST_UNSENT = 1024 * 1024
"""With so many bytes waiting, what is ephemeral is left out."""

T = TypeVar("T")
Report = Callable[[dict[str, Any]], None]
MakeRoom = Callable[[said.OpenRoom, Report], Room]


class FaultError(Exception):
    """A "no" to a request."""

    def __init__(self, code: said.FaultCode, detail: str) -> None:
        super().__init__(detail)
        self.fault = said.Fault(code, detail)


@dataclass(slots=True)
class Opened:
    """A room, and the last reports of it."""

    room: Room
    epoch: int
    app_id: str
    number: int = 0
    uncounted: bool = False
    """It has failed to tell how it does, which is worth one line in the log."""
    tail: deque[said.ReportRow] = field(default_factory=lambda: deque(maxlen=KEPT_REPORTS))


@dataclass(slots=True, frozen=True)
class Line:
    """How the desk reaches the service: `unsent` are bytes that wait. It is another one after an adoption."""

    send: Callable[[said.FromWorker], None]
    unsent: Callable[[], int]


class Desk:
    """`welcome` is asked who the worker is; `last_words` lets a room tell what it knows before it is closed."""

    def __init__(
        self,
        make_room: MakeRoom,
        line: Line,
        welcome: Callable[[tuple[said.RoomState, ...]], said.Welcome],
        last_words: Callable[[Room], None] | None = None,
    ) -> None:
        self.rooms: dict[str, Opened] = {}
        self.draining = False
        self._make_room = make_room
        self._line = line
        self._welcome = welcome
        self._last_words = last_words
        self._greeted = False
        self._decoder = msgspec.json.Decoder(said.AnyRequest)
        self._log = logging.getLogger("hookswitch.media.worker")

    def take(self, body: bytes) -> None:
        """Serve one request. Whatever is in it, it is answered, and nothing is raised."""
        number = 0
        try:
            request = self._decoder.decode(body)
            number = request.id
            answer = self._serve(request)
        except Exception as error:  # noqa: BLE001 - one request that fails must not end the calls of the worker
            self._line.send(said.FromWorker(number or _asked(body).id, error=self._fault(error, body)))
        else:
            self._line.send(said.FromWorker(number, ok=msgspec.to_builtins(answer)))

    def expect_hello(self) -> None:
        """Another service will come."""
        self._greeted = False

    def guarded(self, act: Callable[[Room, float], None], now: float) -> None:
        """Let every room do this; one that fails is lost, and no other room with it."""
        for name, opened in list(self.rooms.items()):
            try:
                act(opened.room, now)
            except Exception:  # noqa: BLE001 - whatever it was, the other rooms go on
                self._log.exception("a room failed", extra=_about(name, opened))
                with contextlib.suppress(Exception):  # it is beyond order
                    self._shut(name)
                self._report(name, opened, {"kind": "room.lost", "reason": "the room failed"})

    def counted(self, ask: Callable[[Room], T]) -> list[T]:
        """What the rooms say to this. One that fails to is left out, and goes on: its media may be well."""
        found: list[T] = []
        for name, opened in self.rooms.items():
            try:
                found.append(ask(opened.room))
            except Exception:  # noqa: BLE001 - a figure less is no reason to fall silent
                if not opened.uncounted:
                    opened.uncounted = True
                    self._log.exception("a room cannot be counted", extra=_about(name, opened))
        return found

    def close(self) -> None:
        """Close all rooms."""
        for name in list(self.rooms):
            self._shut(name)

    def _serve(self, request: said.AnyRequest) -> msgspec.Struct | dict[str, Any]:
        if isinstance(request, said.Hello):
            return self._greet(request)
        if not self._greeted:
            detail = "say hello first"
            raise FaultError("invalid_request", detail)
        if isinstance(request, said.Offer | said.RestartPeer):
            return self._answer(request)
        if isinstance(request, said.ClosePeer):
            return _close(self._opened(request).room, request)
        if isinstance(request, said.OpenRoom):
            self._open(request)
        elif isinstance(request, said.CloseRoom):
            self._end(request.room)
        elif isinstance(request, said.Drain):
            self.draining = True
            self.close()
        elif isinstance(request, said.RoomRequest):
            self._in_room(request, self._opened(request))
        return {}

    def _greet(self, request: said.Hello) -> said.Welcome:
        if request.version != VERSION:
            detail = f"this worker talks version {VERSION}, not {request.version}"
            raise FaultError("invalid_request", detail)
        rooms = tuple(said.RoomState(name, o.epoch, o.app_id, o.number) for name, o in self.rooms.items())
        welcome = self._welcome(rooms)
        self._greeted = True
        return welcome

    def _open(self, request: said.OpenRoom) -> None:
        if self.draining:
            detail = "this worker takes no more rooms"
            raise FaultError("media_unavailable", detail)
        known = self.rooms.get(request.room)
        if known is not None and known.epoch == request.epoch:
            return
        self._shut(request.room)

        def tell(message: dict[str, Any]) -> None:
            self._tell(request.room, opened, message)

        opened = Opened(self._make_room(request, tell), request.epoch, request.app_id)
        self.rooms[request.room] = opened

    def _end(self, name: str) -> None:
        if self._last_words is not None and name in self.rooms:
            with contextlib.suppress(Exception):  # it is closed all the same
                self._last_words(self.rooms[name].room)
        self._shut(name)

    def _shut(self, name: str) -> None:
        opened = self.rooms.pop(name, None)
        if opened is not None:
            opened.room.close()

    def _opened(self, request: said.RoomRequest) -> Opened:
        opened = self.rooms.get(request.room)
        if opened is None:
            detail = "there is no such room here"
            raise FaultError("not_found", detail)
        return opened

    def _in_room(self, request: said.RoomRequest, opened: Opened) -> None:
        room = opened.room
        if isinstance(request, said.SetMembers):
            room.set_members(request.members)
        elif isinstance(request, said.SetSubscriptions):
            room.subscribe(request)
        elif isinstance(request, said.TellAgain):
            room.tell_again(request.user_id, request.device_id)
        elif isinstance(request, said.AddCandidates):
            participant = room.participant(request.user_id, request.device_id)
            if request.pc is not None:
                connection_of(participant, request.pc)
        elif isinstance(request, said.Repeat):
            for row in opened.tail:
                if row.number > request.after:
                    self._line.send(said.FromWorker(report=row))

    def _answer(self, request: said.Offer | said.RestartPeer) -> said.Answered:
        if isinstance(request, said.RestartPeer):
            room = self._opened(request).room
            connection_of(room.participant(request.user_id, request.device_id), request.pc)
            return said.Answered(room.restart(request), request.pc)
        pc = request.pc or label(request.sdp)
        return said.Answered(self._opened(request).room.offer(request, pc), pc)

    def _tell(self, name: str, opened: Opened, message: Mapping[str, Any]) -> None:
        """What a room says: `{"report": {"kind", …}}` or `{"notice": {"kind", …}}`."""
        if self.rooms.get(name) is not opened:
            return  # closing
        if "report" in message:
            self._report(name, opened, message["report"])
        elif self._line.unsent() < MOST_UNSENT:
            notice = {"room": name, "epoch": opened.epoch, **message["notice"]}
            self._line.send(said.FromWorker(notice=notice))

    def _report(self, name: str, opened: Opened, facts: Mapping[str, Any]) -> None:
        opened.number += 1
        row = said.ReportRow(
            name,
            opened.epoch,
            opened.number,
            facts["kind"],
            facts.get("user_id"),
            facts.get("device_id"),
            facts.get("stream"),
            facts.get("reason"),
        )
        opened.tail.append(row)
        self._line.send(said.FromWorker(report=row))

    def _fault(self, error: Exception, body: bytes) -> said.Fault:
        if isinstance(error, FaultError):
            return error.fault
        if isinstance(error, OfferError):
            return said.Fault("media_permission_denied" if error.denied else "invalid_request", error.detail)
        if isinstance(error, msgspec.DecodeError):
            return said.Fault("invalid_request", str(error))
        if isinstance(error, NoConnectionError):
            return said.Fault("no_connection", str(error))
        if type(error) is LookupError:  # a room's own word; a KeyError is a fault of ours
            return said.Fault("not_found", str(error))
        about = _asked(body)
        extra = _about(about.room, self.rooms.get(about.room)) | {"op": about.op}
        self._log.error("a request failed", exc_info=error, extra=extra)
        return said.Fault("internal_error", "the media worker failed at this request")


def _close(room: Room, request: said.ClosePeer) -> said.Closed:
    try:
        participant = room.participant(request.user_id, request.device_id)
    except LookupError:
        return said.Closed(0)
    left = over_http(participant, request.pc)
    if left or not request.unless_last:
        room.close_peer(request.user_id, request.device_id, request.pc)
    return said.Closed(left)


def _about(room: str, opened: Opened | None) -> dict[str, Any]:
    """What a log line of a room says; a room is named by its call."""
    return {"call_id": room} | ({"app_id": opened.app_id, "epoch": opened.epoch} if opened else {})


def label(sdp: str) -> str:
    """What a connection is called when its client does not say: `sub` when it only receives, else `pub`."""
    lines = sdp.splitlines()
    receives = any(line == "a=recvonly" for line in lines)
    default = sum(line.startswith("m=") for line in lines) - sum(
        line in {"a=recvonly", "a=sendonly", "a=sendrecv", "a=inactive"} for line in lines
    )
    sends = default > 0 or any(line in {"a=sendonly", "a=sendrecv"} for line in lines)
    return "sub" if receives and not sends else "pub"


def _asked(body: bytes) -> "_Numbered":
    """What can be read of a request that is wrong otherwise."""
    try:
        return msgspec.json.decode(body, type=_Numbered)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _Numbered()


class _Numbered(msgspec.Struct):
    id: int = 0
    op: str = ""
    room: str = ""
