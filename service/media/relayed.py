"""The clients carry their media themselves; the service brings their signals from one to the other (5-api).

Ephemeral: never an event, never kept. One-to-one and mesh.
"""

from collections.abc import Mapping
from typing import Any

from service.core.calls import Call, Leg
from service.core.refusals import Code, Refusal
from service.core.vocabulary import Topology
from service.media.backend import SFU, Candidates, Deliver, Description, Message, Sender


class RelayedMedia:
    """A :class:`~service.media.backend.MediaBackend` for calls without a worker."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver

    async def follow(self, call: Call) -> None:
        """The clients hear all they need by the call's events."""

    async def signal(self, call: Call, sender: Sender, message: Message) -> Refusal | None:
        if not isinstance(message, Description | Candidates):
            return Refusal(Code.INVALID_REQUEST, "this call has no media worker")
        target = relayed_target(call, sender.user_id, sender.device_id, message.to)
        if isinstance(target, Refusal):
            return target
        if await self._deliver(sender, message.to, relayed_frame(call.id, sender.user_id, message)):
            return None
        return Refusal(Code.MEDIA_UNAVAILABLE, "the participant's device is not connected now", (message.to,))

    async def close(self) -> None:
        """Nothing is held."""


def relayed_target(call: Call, user_id: str, device_id: str | None, to: str) -> Leg | Refusal:
    """The leg to send to: both sides are in the call, and the sender is the device that is in it.

    In a routed call nothing goes from device to device, but while the call moves to the worker: until both have come
    there, what they have between them carries on.
    """
    if to == SFU:
        return Refusal(Code.INVALID_REQUEST, "this call has no media worker; send to the participants")
    if call.ended:
        return Refusal(Code.CALL_ENDED, "the call has ended")
    mine, target = call.leg(user_id), call.leg(to)
    if not in_call(mine, device_id):
        return Refusal(Code.NOT_PARTICIPANT, "this device is not in the call")
    if target is None or not target.joined or target is mine:
        return Refusal(Code.NOT_PARTICIPANT, "the addressee is not in the call, or has not answered yet", (to,))
    if call.topology is Topology.ROUTED and not (mine and mine.moved_at) and not target.moved_at:
        return Refusal(Code.INVALID_REQUEST, f"this call has a media worker; offer to {SFU}", (to,))
    return target


def in_call(leg: Leg | None, device_id: str | None) -> bool:
    """Whether that device is the one with which the participant is in the call."""
    return leg is not None and leg.joined and leg.device_id in {None, device_id}


def relayed_frame(call_id: str, user_id: str, message: Description | Candidates) -> Mapping[str, Any]:
    """What the other device reads."""
    said: dict[str, Any] = (
        {"type": "rtc.description", "description": {"type": message.type, "sdp": message.sdp}}
        if isinstance(message, Description)
        else {"type": "rtc.candidates", "candidates": list(message.candidates)}
    )
    return {**said, "call_id": call_id, "from": user_id}
