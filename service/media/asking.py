"""What a device signals to the worker, as a request; what the worker answers, as a frame or a refusal."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from service.core.calls import Call, Leg
from service.core.refusals import Code, Refusal
from service.media.backend import SFU, Again, Candidates, Close, Description, Message, Restart, Sender, Subscribe
from service.media.hosted import has_video
from service.media.relayed import in_call
from service.media.worker.messages import (
    AddCandidates,
    ClosePeer,
    Fault,
    Offer,
    Request,
    RestartPeer,
    SetSubscriptions,
    Source,
    StreamWish,
    TellAgain,
)

OFFER = "offer"


def part_of(call: Call, sender: Sender) -> Leg | Refusal:
    """The leg of the device that signals, if it is in the call."""
    if call.ended:
        return Refusal(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    leg = call.leg(sender.user_id)
    if leg is None or not in_call(leg, sender.device_id):
        return Refusal(Code.NOT_PARTICIPANT, "this device is not in the call")
    return leg


def admitted(call: Call, sender: Sender, message: Message) -> Leg | Refusal:
    """As :func:`part_of`, if it may say this to a worker."""
    leg = part_of(call, sender)
    if isinstance(leg, Refusal):
        return leg
    if isinstance(message, Description | Candidates) and message.to != SFU:
        return Refusal(Code.INVALID_REQUEST, f"this call has a media worker; send to {SFU}", (message.to,))
    if isinstance(message, Description) and message.type != OFFER:
        return Refusal(Code.INVALID_REQUEST, "the client offers, the media worker answers")
    if isinstance(message, Description) and not (sender.subscribe or (sender.publish and leg.publishes)):
        return Refusal(Code.MEDIA_PERMISSION_DENIED, "this participant may neither publish nor subscribe")
    return leg


def request_for(call: Call, leg: Leg, sender: Sender, message: Message) -> Callable[[int], Request]:
    """The request, still without its number."""
    where = (call.id, leg.user_id, leg.device_id)
    if isinstance(message, Description):
        return partial(
            _offer,
            where,
            sdp=message.sdp,
            pc=message.pc,
            publish=sender.publish and leg.publishes,
            subscribe=sender.subscribe,
            streams=tuple(Source(named.mid, named.source, named.name) for named in message.streams),
            video=has_video(call),
        )
    if isinstance(message, Candidates):
        return lambda number: AddCandidates(number, *where, message.candidates, message.pc)
    if isinstance(message, Restart):
        return lambda number: RestartPeer(number, *where, message.pc, message.ufrag, message.pwd)
    if isinstance(message, Close):
        return lambda number: ClosePeer(number, *where, message.pc, message.unless_last)
    if isinstance(message, Again):
        return lambda number: TellAgain(number, *where)
    return partial(_subscriptions, where, message)


def answer_frame(call_id: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The worker's answer as the client reads it."""
    return {
        "type": "rtc.description",
        "call_id": call_id,
        "from": SFU,
        "pc": answer["pc"],
        "description": {"type": "answer", "sdp": answer["sdp"]},
    }


def reply_frame(call_id: str, message: Message, answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the sender hears of the worker's answer to this message; `None` for nothing."""
    if isinstance(message, Description | Restart):
        return answer_frame(call_id, answer)
    return {"type": "closed", "left": answer["left"]} if isinstance(message, Close) else None


def refusal_of(fault: Fault, message: Message) -> Refusal:
    """The worker's "no" in the interface's words. A room that it does not know is not ready rather than not there.

    A connection that is not there is the addressee of a restart, and a wrong word in candidates.
    """
    if fault.code == "not_found":
        return Refusal(Code.MEDIA_UNAVAILABLE, fault.detail)
    if fault.code == "no_connection":
        return Refusal(Code.NOT_FOUND if isinstance(message, Restart) else Code.INVALID_REQUEST, fault.detail)
    return Refusal(Code(fault.code), fault.detail)


def _offer(where: tuple[str, str, str | None], number: int, **facts: Any) -> Request:
    return Offer(number, *where, **facts)


def _subscriptions(where: tuple[str, str, str | None], wish: Subscribe, number: int) -> Request:
    streams = tuple(StreamWish(one.stream_id, one.paused, one.layer, one.width, one.height) for one in wish.streams)
    return SetSubscriptions(number, *where, wish.audio, wish.video, wish.only, streams)
