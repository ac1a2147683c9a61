"""What a connected device can say: the commands of the live socket by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from service.client.calls import Participants
from service.client.problems import Unreachable
from service.client.shapes import Placed


class Verbs(ABC):
    """The commands; each waits for its result. The device acts as itself: no user, no device to name."""

    @abstractmethod
    async def command(self, type_: str, **fields: Any) -> Placed | None:
        """Send a command and wait for its result."""

    async def _placed(self, type_: str, **fields: Any) -> Placed:
        placed = await self.command(type_, **fields)
        if placed is None:
            raise Unreachable(f"the result of {type_} carries no call")
        return placed

    async def call(self, participants: Participants, **options: Any) -> Placed:
        """Ring people; `options` as in `POST /v1/calls`. Repeated over a broken connection it makes one call."""
        options.setdefault("idempotency_key", str(uuid4()))
        return await self._placed("call.create", participants=list(participants), **options)

    async def answer(self, call_id: str) -> Placed:
        """Take the call on this device."""
        return await self._placed("call.answer", call_id=call_id)

    async def decline(self, call_id: str, *, reason: str = "none", message: str | None = None) -> Placed:
        """Refuse the ring; `message` is a quick reply."""
        return await self._placed("call.decline", call_id=call_id, reason=reason, message=message)

    async def cancel(self, call_id: str) -> Placed:
        """Give up before an answer."""
        return await self._placed("call.cancel", call_id=call_id)

    async def hang_up(self, call_id: str) -> Placed:
        """Leave the call."""
        return await self._placed("call.hangup", call_id=call_id)

    async def ack(self, call_id: str) -> Placed:
        """The screen shows the call: the caller hears it ring."""
        return await self._placed("call.ack", call_id=call_id)

    async def silence(self, call_id: str) -> Placed:
        """Stop the noise on every device of the user."""
        return await self._placed("call.silence", call_id=call_id)

    async def invite(self, call_id: str, participants: Participants) -> Placed:
        """Ring more people into the call."""
        return await self._placed("call.invite", call_id=call_id, participants=list(participants))

    async def join(self, call_id: str) -> Placed:
        """Come in, come back, or take over from another device of the user."""
        return await self._placed("call.join", call_id=call_id)

    async def signal(self, call_id: str, signal_type: str, data: Any = None, *, to: Sequence[str] = ()) -> None:
        """An in-call message to all, or to some."""
        fields = {"call_id": call_id, "signal_type": signal_type, "data": data, "to": list(to) or None}
        await self.command("call.signal", **fields)

    async def upgrade(self, call_id: str, action: str = "request") -> Placed:
        """Audio to video: `request`, `accept`, `deny`."""
        return await self._placed("call.upgrade", call_id=call_id, action=action)

    async def media_changed(
        self, call_id: str, *, audio: bool | None = None, video: bool | None = None, screen: bool | None = None
    ) -> None:
        """Tell the others what this device sends now."""
        await self.command("media.changed", call_id=call_id, audio=audio, video=video, screen=screen)

    async def media_connected(self, call_id: str, peer: str | None = None) -> None:
        """Media with that user came up (relayed topology)."""
        await self.command("media.connected", call_id=call_id, peer=peer)

    async def media_lost(self, call_id: str, peer: str | None = None) -> None:
        """Media with that user broke (relayed topology)."""
        await self.command("media.lost", call_id=call_id, peer=peer)

    async def media_subscribe(
        self,
        call_id: str,
        *,
        audio: bool = True,
        video: bool = True,
        only: Sequence[str] | None = None,
        streams: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Say what to receive from the media worker, in place of what was said before (routed topology).

        `only` chooses streams by their ids; `streams` says more of single ones: `{stream_id, paused?, layer?, width?,
        height?}`.
        """
        wishes = {"only": None if only is None else list(only), "streams": [dict(wish) for wish in streams]}
        await self.command("media.subscribe", call_id=call_id, audio=audio, video=video, **wishes)

    async def media_watch(self, call_id: str, *, quality: bool = True) -> None:
        """Ask for `quality.reported` every 5 seconds, on this connection; after a lost one ask again."""
        await self.command("media.watch", call_id=call_id, quality=quality)

    async def describe(
        self,
        call_id: str,
        to: str,
        description: Mapping[str, str],
        *,
        pc: str | None = None,
        streams: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        """Send a session description `{type, sdp}` to that user's device in the call.

        `to` `sfu` is the media worker, to which one always offers: `pc` names the connection (`pub`, `sub`), `streams`
        what it sends: `{mid, source, name?}`.
        """
        named = None if streams is None else [dict(stream) for stream in streams]
        fields = {"description": dict(description), "pc": pc, "streams": named}
        await self.command("rtc.description", call_id=call_id, to=to, **fields)

    async def candidates(
        self, call_id: str, to: str, candidates: Sequence[Mapping[str, Any]], *, pc: str | None = None
    ) -> None:
        """Send ICE candidates to that user's device in the call."""
        told = [dict(candidate) for candidate in candidates]
        await self.command("rtc.candidates", call_id=call_id, to=to, candidates=told, pc=pc)
