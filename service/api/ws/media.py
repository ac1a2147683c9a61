"""Frames for the media worker of a routed call: what a device signals, and what it wants to receive."""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TypeGuard
from uuid import UUID

from service.api.calling import Answered
from service.api.errors import refused
from service.api.limits import Limits, MediaAct
from service.api.ws.commands import signal_of
from service.core.refusals import Refusal
from service.core.rights import Principal
from service.live.desk import Desk
from service.live.session import Session
from service.media.backend import SFU, Again, Message, Sender, Subscribe, Wish
from service.store.database import StoreUnavailableError
from service.wire import frames

DeskFrame = frames.RtcDescription | frames.RtcCandidates | frames.MediaSubscribe | frames.MediaWatch


ACTS: Mapping[type[frames.Frame], MediaAct] = MappingProxyType(
    {
        frames.RtcDescription: MediaAct.OFFER,
        frames.RtcCandidates: MediaAct.CANDIDATES,
        frames.MediaSubscribe: MediaAct.WISH,
        frames.MediaWatch: MediaAct.WISH,
    }
)


def is_for_desk(frame: frames.Frame) -> TypeGuard[DeskFrame]:
    """Whether the media worker is meant."""
    if isinstance(frame, frames.RtcDescription | frames.RtcCandidates):
        return frame.to == SFU
    return isinstance(frame, frames.MediaSubscribe | frames.MediaWatch)


def count(limits: Limits, principal: Principal, frame: DeskFrame) -> None:
    """Count the frame against its device. Raises `RefusedError` (`rate_limited`)."""
    limits.count_media(principal.app_id, principal.user_id or "", principal.device_id, ACTS[type(frame)])


async def hand_in(desk: Desk, session: Session, principal: Principal, frame: DeskFrame) -> Answered:
    """Bring the frame to the worker; what it answers comes as a frame of its own.

    Raises `RefusedError` and `StoreUnavailableError`.
    """
    sender = _sender(desk, session, principal)
    if isinstance(frame, frames.MediaWatch):
        refusal = await _watch(desk, session, sender, frame)
    else:
        refusal = await desk.signal(sender, frame.call_id, message_of(frame))
    if refusal:
        raise refused(refusal)
    return {}


async def hear_again(desk: Desk, session: Session, principal: Principal, call_id: UUID) -> None:
    """Let the worker tell the device what it may have missed. Without a worker there is nothing to tell."""
    with suppress(StoreUnavailableError):
        await desk.signal(_sender(desk, session, principal), call_id, Again())


def _sender(desk: Desk, session: Session, principal: Principal) -> Sender:
    return Sender(
        app_id=principal.app_id,
        user_id=principal.user_id or "",
        device_id=principal.device_id,
        publish=principal.grants.publish,
        subscribe=principal.grants.subscribe,
        reply=desk.answers.address_of(session.connection.id),
    )


def message_of(frame: frames.Rtc | frames.MediaSubscribe) -> Message:
    """The frame as media backends take it."""
    if not isinstance(frame, frames.MediaSubscribe):
        return signal_of(frame)
    wishes = tuple(Wish(**wish.model_dump()) for wish in frame.streams)
    return Subscribe(frame.audio, frame.video, frame.only, wishes)


async def _watch(desk: Desk, session: Session, sender: Sender, frame: frames.MediaWatch) -> Refusal | None:
    call_id = str(frame.call_id)
    if not frame.quality:
        session.watching.discard(call_id)
        return None
    refusal = await desk.admit(sender, frame.call_id)
    if refusal is None:
        session.watching.add(call_id)
    return refusal
