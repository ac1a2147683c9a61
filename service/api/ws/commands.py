"""From a client's frame to what is done, by the same ways as over REST; the answer is the members of the result."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from service.api import calling
from service.api.calling import Answered, allowed
from service.api.connections import Asker
from service.api.errors import RefusedError, refused
from service.core import commands as core
from service.core.refusals import Code
from service.core.rights import may_publish
from service.live.relay import Relay, Signal
from service.live.session import Session
from service.media.backend import Candidates, Description, Named
from service.wire import frames
from service.wire.requests import CreateCall, SendSignal
from service.wire.snapshots import call_snapshot

Command = Callable[[Asker, Any], Awaitable[Answered]]


async def create(asker: Asker, frame: frames.CallCreate) -> Answered:
    """As over REST; the frame's own members are not part of what makes two creates the same (scenario 53)."""
    body = CreateCall.model_construct(**{name: getattr(frame, name) for name in CreateCall.model_fields})
    return await calling.create(asker, body, frame.idempotency_key)


async def join(asker: Asker, frame: frames.CallJoin) -> Answered:
    """As over REST. The socket outlives its token, but who is not in the call needs a fresh one (scenario 55)."""
    expires_at = asker.admitted.expires_at
    if expires_at is not None and expires_at <= asker.deps.clock():
        leg = (await calling.look(asker, frame.call_id)).leg(asker.principal.user_id or "")
        if leg is None or not leg.joined:
            raise RefusedError(Code.TOKEN_EXPIRED, "the token has expired; connect again with a fresh one")
    return await calling.join(asker, frame.call_id, frame)


async def signal(asker: Asker, frame: frames.CallSignal) -> Answered:
    """As over REST, with the signal's type under a name of its own."""
    body = SendSignal.model_construct(
        user_id=frame.user_id, device_id=frame.device_id, type=frame.signal_type, data=frame.data, to=frame.to
    )
    return await calling.signal(asker, frame.call_id, body)


async def media_changed(asker: Asker, frame: frames.MediaChanged) -> Answered:
    """The participant's own mute state; sending needs the grant (O-07)."""
    if frame.audio or frame.video or frame.screen:
        denied = may_publish(asker.principal)
        if denied:
            raise refused(denied)
    return await _report(asker, frame, core.MediaChanged, audio=frame.audio, video=frame.video, screen=frame.screen)


async def media_connected(asker: Asker, frame: frames.MediaConnected) -> Answered:
    """This device's media came up."""
    return await _report(asker, frame, core.MediaConnected, peer=frame.peer)


async def media_lost(asker: Asker, frame: frames.MediaLost) -> Answered:
    """This device's media broke."""
    return await _report(asker, frame, core.MediaLost, peer=frame.peer)


async def _report(asker: Asker, frame: frames.OfCall, kind: type[core.UserCommand], **facts: Any) -> Answered:
    principal = asker.principal
    command = kind(principal.actor, principal.user_id or "", principal.device_id, **facts)
    return {"call": call_snapshot(await calling.do(asker, frame.call_id, command))}


def _of_call(act: Callable[[Asker, Any, Any], Awaitable[Answered]]) -> Command:
    async def run(asker: Asker, frame: frames.OfCall) -> Answered:
        return await act(asker, frame.call_id, frame)

    return run


COMMANDS: Mapping[type[frames.Frame], Command] = MappingProxyType(
    {
        frames.CallCreate: create,
        frames.CallAnswer: _of_call(calling.answer),
        frames.CallDecline: _of_call(calling.decline),
        frames.CallCancel: _of_call(calling.cancel),
        frames.CallHangup: _of_call(calling.hang_up),
        frames.CallAck: _of_call(calling.ack),
        frames.CallSilence: _of_call(calling.silence),
        frames.CallInvite: _of_call(calling.invite),
        frames.CallJoin: join,
        frames.CallSignal: signal,
        frames.CallUpgrade: _of_call(calling.upgrade),
        frames.MediaChanged: media_changed,
        frames.MediaConnected: media_connected,
        frames.MediaLost: media_lost,
    }
)


def _by_type(*models: type[frames.Frame]) -> Mapping[str, type[frames.Frame]]:
    return MappingProxyType({get_args(model.model_fields["type"].annotation)[0]: model for model in models})


FRAMES = _by_type(
    *COMMANDS,
    frames.Ping,
    frames.RtcDescription,
    frames.RtcCandidates,
    frames.MediaSubscribe,
    frames.MediaWatch,
    frames.PresenceSubscribe,
    frames.PresenceUnsubscribe,
)
"""Every frame after the hello, by its type."""


def signal_of(frame: frames.Rtc) -> Signal:
    """The frame as media backends take it."""
    if isinstance(frame, frames.RtcDescription):
        streams = tuple(Named(stream.mid, stream.source, stream.name) for stream in frame.streams)
        return Description(frame.to, frame.description.type, frame.description.sdp, frame.pc, streams)
    candidates = tuple(candidate.model_dump(exclude_unset=True) for candidate in frame.candidates)
    return Candidates(frame.to, candidates, frame.pc)


def relay_now(relay: Relay, session: Session, frame: frames.Rtc) -> bool:
    """Pass it on at once, if that needs no look at the database. Raises `RefusedError`."""
    return allowed(relay.pass_on(session, str(frame.call_id), signal_of(frame)))


async def relay(relay: Relay, session: Session, frame: frames.Rtc) -> Answered:
    """Pass it on, wherever the other device is. Raises `RefusedError` and `StoreUnavailableError`."""
    refusal = await relay.send(session, frame.call_id, signal_of(frame))
    if refusal:
        raise refused(refusal)
    return {}
