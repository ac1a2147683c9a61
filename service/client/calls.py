"""Calls and their commands over REST: what a backend, or a phone without a socket, does."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from service.client.feed import Event
from service.client.http import Door, segment
from service.client.media import QualitySample
from service.client.shapes import Call, Placed, Trace, shaped
from service.wire.canonical import rfc3339_or_none

Participants = Sequence[str | Mapping[str, Any]]
"""User ids, or `{user_id, role}`."""


class Calls:
    """`POST /v1/calls` and everything below it.

    `user_id` says for whom an API key acts; a user token needs none. Every command may raise `Refused`.
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    async def create(
        self, initiator: str | None, participants: Participants, *, key: str | None = None, **options: Any
    ) -> Placed:
        """Ring people. `options` are the other fields of the create: `call_type`, `ring_timeout_s`, `custom`, ….

        With the same Idempotency-Key `key` the same call is answered again; left out, one is made, so that a create
        repeated after a broken connection makes one call.
        """
        body = _body(initiator=initiator, participants=list(participants), **options)
        return shaped(await self._door.ask("POST", "/calls", body, key=key or str(uuid4())), Placed)

    async def get(self, call_id: str) -> Call:
        """The call as it stands."""
        return shaped(_call(await self._door.ask("GET", f"/calls/{segment(call_id)}")), Call)

    async def history(
        self,
        *,
        user_id: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        missed: bool = False,
    ) -> AsyncIterator[Call]:
        """Calls, newest first; `missed`: those alone that the user missed."""
        since_text, until_text = rfc3339_or_none(since), rfc3339_or_none(until)
        wanted = {"user_id": user_id, "state": state, "since": since_text, "until": until_text}
        if missed:
            wanted["missed"] = "true"
        async for item in self._door.pages("/calls", wanted):
            yield shaped(item, Call)

    async def events(self, call_id: str) -> list[Event]:
        """Everything that was told about the call, in `seq` order."""
        return [Event.of(item) async for item in self._door.pages(f"/calls/{segment(call_id)}/events")]

    async def quality(self, call_id: str) -> list[QualitySample]:
        """How the streams of a routed call did, every 5 seconds, the oldest first."""
        path = f"/calls/{segment(call_id)}/quality"
        return [shaped(item, QualitySample) async for item in self._door.pages(path)]

    async def trace(self, call_id: str) -> Trace:
        """Why each device rang, or did not, in plain words."""
        return shaped(await self._door.ask("GET", f"/calls/{segment(call_id)}/trace"), Trace)

    async def ladder(self, call_id: str) -> str:
        """The same as a ladder diagram: an SVG document."""
        answer = await self._door.answer("GET", f"/calls/{segment(call_id)}/trace", accept="image/svg+xml")
        return answer.text

    async def answer(self, call_id: str, *, user_id: str | None = None, device_id: str | None = None) -> Placed:
        """Take the call."""
        return await self._do(call_id, "answer", user_id=user_id, device_id=device_id)

    async def decline(
        self,
        call_id: str,
        *,
        reason: str = "none",
        message: str | None = None,
        user_id: str | None = None,
        device_id: str | None = None,
    ) -> Placed:
        """Refuse the ring; `message` is a quick reply."""
        return await self._do(call_id, "decline", reason=reason, message=message, user_id=user_id, device_id=device_id)

    async def cancel(self, call_id: str, *, user_id: str | None = None) -> Placed:
        """Give up before an answer; after one it hangs up (scenario 9)."""
        return await self._do(call_id, "cancel", user_id=user_id)

    async def hang_up(self, call_id: str, *, user_id: str | None = None) -> Placed:
        """Leave the call; of two it ends for both (scenario 33)."""
        return await self._do(call_id, "hangup", user_id=user_id)

    async def ack(self, call_id: str, *, user_id: str | None = None, device_id: str | None = None) -> Placed:
        """The device shows the call to its user now (SIP 180)."""
        return await self._do(call_id, "ack", user_id=user_id, device_id=device_id)

    async def silence(self, call_id: str, *, user_id: str | None = None) -> Placed:
        """Stop the noise; the caller still hears ringing (scenario 8)."""
        return await self._do(call_id, "silence", user_id=user_id)

    async def invite(self, call_id: str, participants: Participants, *, user_id: str | None = None) -> Placed:
        """Ring more people into the call (scenario 35)."""
        return await self._do(call_id, "invite", participants=list(participants), user_id=user_id)

    async def join(self, call_id: str, *, user_id: str | None = None, device_id: str | None = None) -> Placed:
        """Come in, come back, or move to another device (scenarios 37, 43)."""
        return await self._do(call_id, "join", user_id=user_id, device_id=device_id)

    async def end(self, call_id: str) -> Placed:
        """End the call for everybody."""
        return await self._do(call_id, "end")

    async def remove(self, call_id: str, user_id: str) -> Placed:
        """Take a participant out; only an invitation brings them back (scenario 38)."""
        return await self._do(call_id, f"participants/{segment(user_id)}/remove")

    async def mute(self, call_id: str, user_id: str, *, audio: bool | None = None, video: bool | None = None) -> Placed:
        """`False` takes a participant's sound or picture away, `True` allows it again."""
        return await self._do(call_id, f"participants/{segment(user_id)}/mute", audio=audio, video=video)

    async def signal(
        self,
        call_id: str,
        type_: str,
        data: Any = None,
        *,
        to: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> Placed:
        """An in-call message to all, or to some."""
        fields = {"type": type_, "data": data, "to": None if to is None else list(to), "user_id": user_id}
        return await self._do(call_id, "signal", **fields)

    async def upgrade(self, call_id: str, action: str = "request", *, user_id: str | None = None) -> Placed:
        """Audio to video: `request`, and the other side's `accept` or `deny` (scenario 54)."""
        return await self._do(call_id, "upgrade", action=action, user_id=user_id)

    async def _do(self, call_id: str, verb: str, **fields: Any) -> Placed:
        return shaped(await self._door.ask("POST", f"/calls/{segment(call_id)}/{verb}", _body(**fields)), Placed)


class Rings:
    """What a woken phone can do with nothing but the action token that came in its push."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def state(self, ring_id: str) -> int:
        """200: keep ringing; 201: show a missed call; 410: stop (scenario 19)."""
        response = await self._door.answer("GET", f"/rings/{segment(ring_id)}", expected=frozenset({410}))
        return response.status_code

    async def ack(self, ring_id: str) -> Call:
        """The screen shows the call."""
        return await self._do(ring_id, "ack")

    async def answer(self, ring_id: str) -> Placed:
        """Take the call on this device."""
        return shaped(await self._door.ask("POST", f"/rings/{segment(ring_id)}/answer", {}), Placed)

    async def decline(self, ring_id: str, *, reason: str = "none", message: str | None = None) -> Call:
        """Refuse the ring."""
        return await self._do(ring_id, "decline", reason=reason, message=message)

    async def silence(self, ring_id: str) -> Call:
        """Stop the noise."""
        return await self._do(ring_id, "silence")

    async def _do(self, ring_id: str, verb: str, **fields: Any) -> Call:
        answer = await self._door.ask("POST", f"/rings/{segment(ring_id)}/{verb}", _body(**fields))
        return shaped(_call(answer), Call)


def _body(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _call(answer: Any) -> Any:
    """The call itself, bare or as a member."""
    return answer.get("call", answer)
