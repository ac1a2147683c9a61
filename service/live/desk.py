"""The media desk: brings signals of devices to the worker that carries their call, whichever replica's worker it is.

Between replicas goes mail for the desk (`relays.DESK`): a signal with the place where the verdict is waited for, a
call that its host must look after, a frame for those in a call. Ephemeral like all signals: what is lost is said again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, get_args
from uuid import UUID

import msgspec
import orjson

from service.core.calls import Call, Leg
from service.core.refusals import Code, Refusal
from service.core.vocabulary import Topology
from service.live.answers import Answers
from service.live.audience import TELL, Audience
from service.live.errands import Errands
from service.live.hub import Hub
from service.live.wakes import Wakes
from service.media.asking import part_of
from service.media.backend import Address, MediaBackend, Message, Sender
from service.store import relays
from service.store.calls import load
from service.store.database import Database, StoreUnavailableError
from service.telemetry.logs import logger
from service.wire.feed import new_id

FOLLOW = "follow"
SIGNAL = "signal"
KINDS: Mapping[str, type[Message]] = MappingProxyType({kind.__name__: kind for kind in get_args(Message)})
MOVED = Refusal(Code.MEDIA_UNAVAILABLE, "no media worker carries the call at the moment")


@dataclass(slots=True, frozen=True)
class DeskConfig:
    """Seconds: how long a signal waits for a worker that is being started, and for a word of another replica.

    Meanwhile is looked again, first after `first_look_s`, then less and less often.
    """

    open_s: float = 5.0
    answer_s: float = 5.0
    first_look_s: float = 0.02
    longest_look_s: float = 0.25


class Desk:
    """One replica's media desk. `backend` runs this replica's workers; without one it passes on only."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        wakes: Wakes,
        errands: Errands,
        answers: Answers,
        audience: Audience,
        backend: MediaBackend | None = None,
        config: DeskConfig | None = None,
    ) -> None:
        self.answers = answers
        self.audience = audience
        self._database = database
        self._hub = hub
        self._wakes = wakes
        self._errands = errands
        self._backend = backend
        self._config = config or DeskConfig()
        self._news: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def signal(self, sender: Sender, call_id: UUID, message: Message) -> Refusal | None:
        """Bring a signal to the worker of a call. Its answer, if any, goes to `sender.reply`.

        Waits a few seconds for a worker that is being started. Refuses with `not_found`, `not_participant`,
        `call_ended`, `invalid_request`, `media_permission_denied`, `media_unavailable`, `internal_error`. Raises
        `StoreUnavailableError`.
        """
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._config.open_s, self._config.first_look_s
        call = self._hub.newest(str(call_id))
        if call is None or isinstance(routed_part_of(call, sender), Refusal) or host_of(call) is None:
            call = await self._read(call_id)
        while True:
            if call is None or call.app_id != sender.app_id:
                return Refusal(Code.NOT_FOUND, "there is no such call")
            leg = routed_part_of(call, sender)
            if isinstance(leg, Refusal):
                return leg
            verdict = await self._hand_over(call, sender_of(sender, leg), message)
            if verdict is None or verdict.code is not Code.MEDIA_UNAVAILABLE or loop.time() >= until:
                return verdict
            await self._something(pause)
            pause = min(pause * 2, self._config.longest_look_s)
            call = await self._read(call_id)

    async def ask(self, sender: Sender, call_id: UUID, message: Message) -> Mapping[str, Any] | Refusal:
        """As :meth:`signal`, for somebody without a socket: returns the frame that answers."""
        with self.answers.wait() as waiting:
            refusal = await self.signal(replace(sender, reply=waiting.address), call_id, message)
            if refusal:
                return refusal
            frame = await waiting.frame(self._config.answer_s)
        return frame or Refusal(Code.MEDIA_UNAVAILABLE, "the media worker did not answer")

    async def admit(self, sender: Sender, call_id: UUID) -> Refusal | None:
        """Whether this device is in the call, and a worker carries it or will. Raises `StoreUnavailableError`."""
        call = self._hub.newest(str(call_id))
        if call is None or isinstance(routed_part_of(call, sender), Refusal):
            call = await self._read(call_id)
        if call is None or call.app_id != sender.app_id:
            return Refusal(Code.NOT_FOUND, "there is no such call")
        verdict = routed_part_of(call, sender)
        return verdict if isinstance(verdict, Refusal) else None

    async def follow(self, call_id: UUID, host: UUID) -> None:
        """Let another replica look after a call whose worker it has. Raises `StoreUnavailableError`."""
        await self._post(host, {"op": FOLLOW, "call_id": call_id})

    def noticed(self, _batch: object = ()) -> None:
        """The switchboard's listener: something changed here; whoever waits for a worker looks again."""
        news, self._news = self._news, None
        if news:
            news.set()

    def received(self, text: str) -> None:
        """Mail for this desk."""
        errand = orjson.loads(text)
        if errand["op"] == FOLLOW:
            self._errands.read(UUID(errand["call_id"]))
        elif errand["op"] == TELL:
            self.audience.told_elsewhere(errand)
        elif errand["op"] == SIGNAL:
            task = asyncio.get_running_loop().create_task(self._judge(errand))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _something(self, within_s: float) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()

    async def _read(self, call_id: UUID) -> Call | None:
        async with self._database.hot() as driver:
            loaded = await load(driver, call_id)
        return loaded.call if loaded else None

    async def _hand_over(self, call: Call, sender: Sender, message: Message) -> Refusal | None:
        """To the worker here, or to the desk of its host."""
        host = host_of(call)
        if host is None:
            return MOVED
        if host == self._wakes.replica_id:
            return await self._backend.signal(call, sender, message) if self._backend else MOVED
        with self.answers.wait() as waiting:
            errand = {"op": SIGNAL, "call_id": call.id, "kind": type(message).__name__}
            await self._post(host, {**errand, "sender": sender, "message": message, "verdict": waiting.address})
            frame = await waiting.frame(self._config.answer_s)
        return msgspec.convert(frame["verdict"], Refusal | None) if frame else MOVED

    async def _judge(self, errand: dict[str, Any]) -> None:
        """A signal of a device that is connected to another replica."""
        try:
            sender = msgspec.convert(errand["sender"], Sender)
            message = msgspec.convert(errand["message"], KINDS[errand["kind"]])
            call = await self._read(UUID(errand["call_id"]))
            here = call is not None and host_of(call) == self._wakes.replica_id
            verdict = await self._hand_over(call, sender, message) if call and here else MOVED
            await self.answers.deliver(msgspec.convert(errand["verdict"], Address), {"verdict": verdict})
        except StoreUnavailableError as fault:
            logger("media").warning("a signal is lost, the database is away", error=str(fault))
        except Exception:  # noqa: BLE001 - the next signal must be heard; this one's sender is told after a while
            logger("media").exception("a signal failed", call_id=errand.get("call_id"))

    async def _post(self, host: UUID, errand: dict[str, Any]) -> None:
        text = orjson.dumps(errand).decode()
        async with self._database.hot() as driver:
            await relays.post(driver, new_id(), host, relays.DESK, text)
        self._wakes.mail(host)


def host_of(call: Call) -> UUID | None:
    """The replica whose worker carries the call."""
    return UUID(call.room.host) if call.room and call.room.host else None


def routed_part_of(call: Call, sender: Sender) -> Leg | Refusal:
    """The leg of the device that signals: it is in the call, and a worker carries the call, or will."""
    leg = part_of(call, sender)
    if isinstance(leg, Refusal):
        return leg
    if call.topology is not Topology.ROUTED:
        return Refusal(Code.INVALID_REQUEST, "this call has no media worker; send to the participants")
    return leg


def sender_of(sender: Sender, leg: Leg) -> Sender:
    """The sender as the worker knows it: the leg's device, and no more rights than the leg has (O-07)."""
    return replace(sender, device_id=leg.device_id, publish=sender.publish and leg.publishes)
