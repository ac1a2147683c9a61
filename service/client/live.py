"""The live socket: one device of one user, connected until it is closed.

    async with LiveSocket(url, token, device_id="phone", platform="ios") as phone:
        async for alert in phone.rings:
            if isinstance(alert, Ring):
                await phone.answer(alert.call_id)

A lost connection is taken up again by itself, from the last event that arrived; nothing is missed and nothing comes
twice. Where it was away for too long for that, `events` raises `Missed` once, and goes on. What needs sequence goes by
`seq`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count, islice
from types import MappingProxyType
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from service.client.feed import Event
from service.client.inbox import Inbox
from service.client.media import MediaRestart, MediaSlots
from service.client.patience import LATER, pause_s
from service.client.problems import Missed, Refused, Unreachable
from service.client.shapes import Placed, Presence, Replaced, Ring, RingStop, RtcFrame, Welcome, shaped
from service.client.verbs import Verbs

Token = str | Callable[[], Awaitable[str]]
SUBPROTOCOL = Subprotocol("hookswitch.v1")
FRAME_BYTES = 1024 * 1024
FINAL: Mapping[int, str] = MappingProxyType({4401: "not_authenticated", 4409: "replaced"})
"""Close codes after which coming back would only do harm: a bad token, the same device connected once more."""
LOST = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError)
"""What a connection that breaks, or does not come up, raises."""
AT_ONCE = 200
"""Users whose presence one frame asks for."""
AGAIN = "again"
"""The id of frames that a new connection begins with, and nobody waits for."""
MOST_STREAMS = 10_000
"""So many calls and users are known by the number of their last event; of older ones nothing comes any more."""
ALERTS: Mapping[str, type[RingStop | Replaced]] = MappingProxyType(
    {"ring.stop": RingStop, "call.replaced": Replaced},
)
MEDIA: Mapping[str, type[MediaSlots | MediaRestart]] = MappingProxyType(
    {"media.slots": MediaSlots, "media.restart": MediaRestart},
)


class CutOff(Unreachable):
    """The connection broke before the answer came."""


class LiveSocket(Verbs):
    """One device's connection.

    `token` is a user token, or an asynchronous function that fetches one (asked again for every connection, so that
    a token may expire meanwhile). `resume_after` is the cursor of the last event already known. `events` (of calls),
    `rings`, `rtc`, `media` (what a media worker tells) and `presences` (of one's own user and of those watched) are
    asynchronous iterators; `welcome` is what the last connection began with.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        device_id: str,
        platform: str = "web",
        resume_after: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self.url = url.rstrip("/").replace("http", "ws", 1) + "/v1/ws"
        self.device_id = device_id
        self.platform = platform
        self.cursor = resume_after
        self.events: Inbox[Event] = Inbox()
        self.rings: Inbox[Ring | RingStop | Replaced] = Inbox()
        self.rtc: Inbox[RtcFrame] = Inbox()
        self.media: Inbox[MediaSlots | MediaRestart] = Inbox()
        self.presences: Inbox[Presence] = Inbox()
        self.connections = 0
        self._token = token
        self._timeout_s = timeout_s
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._told_seq: dict[str, int] = {}
        self._told_rings: dict[str, str] = {}
        self._watched: dict[str, None] = {}
        self._welcome: Welcome | None = None
        self._socket: ClientConnection | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect. Raises `Refused` (a bad token) and `Unreachable`."""
        await self._connect()
        self._task = asyncio.create_task(self._stay(), name=f"live {self.device_id}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def welcome(self) -> Welcome:
        """The newest greeting of the service. Raises `Unreachable` before the first."""
        if self._welcome is None:
            raise Unreachable("not connected yet")
        return self._welcome

    async def close(self) -> None:
        """Say good-bye; the service tells the others in the call after a grace."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._socket:
            await self._socket.close()
        self._shut(None)

    async def drop(self) -> None:
        """Lose the connection without a good-bye, as in a tunnel; it is taken up again by itself."""
        if self._socket:
            self._socket.transport.abort()

    async def command(self, type_: str, **fields: Any) -> Placed | None:
        """Send a command and wait for its result (`None` when it carries no call).

        While the connection is down it waits for the next one. A command whose connection broke before the result
        came is sent once more: one that has had its effect does no harm, except a signal. Raises `Refused` and
        `Unreachable`.
        """
        frame = {"type": type_, **{name: value for name, value in fields.items() if value is not None}}
        try:
            answer = await self.ask(frame)
        except CutOff:
            if type_ == "call.signal":
                raise
            answer = await self.ask(frame)
        return shaped(answer, Placed) if answer.get("call") else None

    async def watch(self, *user_ids: str) -> list[Presence]:
        """Hear of these users' presence, too: how they are now; what becomes of them comes with `presences`.

        A connection that is taken up again asks anew, for oneself, too, and `presences` has how all are by then; where
        it is refused then, `presences` ends with that. Raises as :meth:`command`.
        """
        found: list[Presence] = []
        for some in _chunks(user_ids):
            answer = await self.ask({"type": "presence.subscribe", "user_ids": some})
            self._watched.update(dict.fromkeys(some))
            found += self._seen(answer)
        return found

    async def unwatch(self, *user_ids: str) -> None:
        """Hear no more of these users, or of all but one's own. Raises as :meth:`command`."""
        await self.ask({"type": "presence.unsubscribe", "user_ids": user_ids or None})
        for user_id in user_ids or tuple(self._watched):
            self._watched.pop(user_id, None)

    async def ask(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Send a frame with an id of its own and wait for the frame that answers it. Raises as :meth:`command`."""
        number = str(next(self._numbers))
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._up.wait()
                self._waiting[number] = answer
                await self.send({**frame, "id": number})
                return await answer
        except TimeoutError as fault:
            raise Unreachable(f"no answer to {frame['type']} within {self._timeout_s} s") from fault
        finally:
            self._waiting.pop(number, None)

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame and wait for nothing. Raises `Unreachable`."""
        if self._socket is None:
            raise CutOff("not connected")
        try:
            await self._socket.send(orjson.dumps(dict(frame)).decode())
        except LOST as fault:
            raise CutOff(str(fault)) from fault

    async def _connect(self) -> None:
        token = self._token if isinstance(self._token, str) else await self._token()
        hello = {"type": "hello", "token": token, "device_id": self.device_id, "platform": self.platform}
        if self.cursor:
            hello["resume_after"] = self.cursor
        try:
            socket = await connect(
                self.url,
                subprotocols=[SUBPROTOCOL],
                open_timeout=self._timeout_s,
                close_timeout=2,
                ping_interval=15,
                ping_timeout=15,
                max_size=FRAME_BYTES,
                compression=None,
                proxy=None,
            )
        except LOST as fault:
            raise Unreachable(f"{self.url}: {fault}") from fault
        try:
            await socket.send(orjson.dumps(hello).decode())
            async with asyncio.timeout(self._timeout_s):
                first = orjson.loads(await socket.recv())
        except BaseException as fault:
            socket.transport.abort()  # also when nobody waits any more: it would stay open
            if isinstance(fault, LOST):
                raise Unreachable(f"{self.url}: {fault}") from fault
            raise
        if first["type"] != "welcome":
            await socket.close()
            problem = first.get("problem") or {"code": "error", "detail": "the service did not say welcome"}
            if problem.get("status") in LATER:
                raise Unreachable(f"{self.url}: {problem['detail']}")
            raise Refused(problem)
        self._socket = socket
        self.connections += 1
        self._greeted(shaped(first, Welcome))
        if self.connections > 1:
            # What was told of oneself meanwhile is not told again.
            await self.send({"type": "presence.subscribe", "user_ids": [self.welcome.user_id]})
        for some in _chunks(self._watched):
            await self.send({"type": "presence.subscribe", "id": AGAIN, "user_ids": some})

    def _greeted(self, welcome: Welcome) -> None:
        self._welcome = welcome
        if welcome.resumed is False:
            self.events.tell(Missed())
        for gone in self._told_rings.keys() - {ring.ring_id for ring in welcome.rings}:
            # It was stopped while the connection was down; the events say why.
            self.rings.put(RingStop(ring_id=gone, call_id=self._told_rings.pop(gone), stop_reason=""))
        for ring in welcome.rings:
            self._ring(ring)
        self._up.set()

    async def _stay(self) -> None:
        """Read, and connect again, until closed or refused."""
        tries = 0
        while True:
            try:
                if self._socket is None:
                    await self._connect()
                tries = 0
                await self._read()
            except Unreachable:
                await asyncio.sleep(pause_s(tries))
                tries += 1
            except Refused as refused:
                self._shut(refused)
                return
            finally:
                self._down()

    async def _read(self) -> None:
        socket = self._socket
        if socket is None:
            raise Unreachable("not connected")
        with suppress(ConnectionClosed):
            async for text in socket:
                self._receive(orjson.loads(text))
        if code := FINAL.get(socket.close_code or 0):
            raise Refused({"code": code, "detail": socket.close_reason})

    def _down(self) -> None:
        self._up.clear()
        self._socket = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(CutOff("the connection broke before the result came"))

    def _shut(self, fault: Exception | None) -> None:
        for inbox in (self.events, self.rings, self.rtc, self.media, self.presences):
            inbox.close(fault)

    def _receive(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "event":
            self._event(Event.of(frame))
        elif kind == "ring":
            self._ring(shaped(frame["ring"], Ring))
        elif kind in ALERTS:
            self._told_rings.pop(frame.get("ring_id", ""), None)
            self.rings.put(shaped(frame, ALERTS[kind]))
        elif kind.startswith("rtc."):
            self.rtc.put(shaped(frame, RtcFrame))
        elif kind in MEDIA:
            self.media.put(shaped(frame, MEDIA[kind]))
        elif (answer := self._waiting.get(str(frame.get("id")))) and not answer.done():
            self._settle(answer, frame)
        elif kind == "error" and frame.get("id") == AGAIN:
            self.presences.close(Refused(frame["problem"], frame["problem"].get("retry_after_s")))
        else:
            for seen in self._seen(frame):
                if seen.seq == self._told_seq[_stream_of(seen)]:  # else something newer has come before it
                    self.presences.put(seen)

    @staticmethod
    def _settle(answer: asyncio.Future[dict[str, Any]], frame: dict[str, Any]) -> None:
        if frame["type"] == "error":
            answer.set_exception(Refused(frame["problem"], frame["problem"].get("retry_after_s")))
        else:
            answer.set_result(frame)

    def _event(self, event: Event) -> None:
        """Pass on what is new; after a resume some may come twice.

        What nobody keeps (who speaks, how well it goes) has no number and no cursor, and changes nothing here.
        """
        if event.seq:
            if event.seq <= self._told_seq.get(event.stream, 0):
                return
            self._know(event.stream, event.seq)
        self.cursor = event.cursor or self.cursor
        if event.type == "presence.changed":
            self.presences.put(shaped(event.data["presence"], Presence))
        else:
            self.events.put(event)

    def _seen(self, answer: Mapping[str, Any]) -> list[Presence]:
        """How users are at this moment: at least as new as the event whose number it has, so that one is no news."""
        found = [shaped(seen, Presence) for seen in answer.get("presences") or ()]
        for seen in found:
            stream = _stream_of(seen)
            self._know(stream, max(seen.seq, self._told_seq.get(stream, 0)))
        return found

    def _know(self, stream: str, seq: int) -> None:
        self._told_seq.pop(stream, None)
        self._told_seq[stream] = seq
        if len(self._told_seq) > MOST_STREAMS:
            del self._told_seq[next(iter(self._told_seq))]

    def _ring(self, ring: Ring) -> None:
        if ring.ring_id not in self._told_rings:
            self._told_rings[ring.ring_id] = ring.call_id
            self.rings.put(ring)


def _stream_of(seen: Presence) -> str:
    """As :attr:`Event.stream` has it."""
    return f"user {seen.user_id}"


def _chunks(user_ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """As many as one frame may have, each."""
    left = iter(user_ids)
    while some := tuple(islice(left, AT_ONCE)):
        yield some
