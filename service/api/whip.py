"""Publishing into a call and playing it over plain HTTP: WHIP (RFC 9725) and WHEP, for encoders and players.

Who is in the call already gets one more connection; anybody else comes in by it, with a device of that name, and leaves
with the last one. Nothing is kept between requests: the session's URL says all (`wire/resources.py`), at every replica.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from service.api import calling
from service.api.calling import allowed
from service.api.connections import Asker
from service.api.errors import RefusedError, refused
from service.api.limits import MediaAct
from service.core.calls import Call, Leg
from service.core.commands import Route
from service.core.refusals import Code, Refusal
from service.core.rights import (
    Principal,
    acting_device,
    acting_user,
    may_join,
    may_publish,
    may_subscribe,
    newcomers_role,
)
from service.core.routing import unroutable
from service.core.vocabulary import Role, Topology
from service.media.backend import SFU, Candidates, Close, Description, Message, Restart, Sender
from service.media.offers import objection
from service.store.apps import SigningKey
from service.wire.fragments import Fragment, FragmentError, ice_credentials, write_fragment
from service.wire.requests import Act, JoinCall
from service.wire.resources import MediaSession, etag_of, key_of, session_name, session_of


class Way(StrEnum):
    """Which way the media goes; also the device's name, and how the connection's label begins."""

    WHIP = "whip"
    WHEP = "whep"


DEVICES = frozenset(way.value for way in Way)


@dataclass(slots=True, frozen=True)
class Opened:
    """What the client gets: the answer, the last part of its session's URL, the entity tag, and whose it is."""

    sdp: str
    name: str
    etag: str
    user_id: str


async def open_session(asker: Asker, way: Way, call_id: UUID, user_id: str | None, offer: str) -> Opened:
    """Take an offer. Raises `RefusedError`, and what a join raises.

    What can be said before is said before: whoever comes in by an offer that fails is out again, and a call of two may
    be over by that.
    """
    user_id = allowed(acting_user(asker.principal, user_id))
    _granted(asker.principal, way)
    call = await calling.look(asker, call_id, may=may_join)
    _count(asker, user_id, _device(asker, way, call, user_id), MediaAct.OFFER)
    ufrag = _sound(asker, way, call, user_id, offer)
    key = await _signer(asker)
    call, leg, own = await _take_part(asker, way, call, user_id)
    session = MediaSession(call.id, user_id, leg.device_id, f"{way}-{secrets.token_hex(4)}", own, leg.attempt)
    try:
        await _route(asker, call)
        sdp = await _ask(asker, way, session, Description(SFU, "offer", offer, session.pc))
    except RefusedError:
        if own:
            with suppress(RefusedError):
                await calling.hang_up(asker, call_id, Act(user_id=user_id, device_id=leg.device_id))
        raise
    name = session_name(session, key.kid, key.secret)
    return Opened(sdp, name, etag_of(name, ufrag, key.secret), user_id)


async def trickle(asker: Asker, way: Way, call_id: UUID, name: str, etags: frozenset[str], told: Fragment) -> None:
    """Take more candidates of the client. Raises `RefusedError` (`precondition_failed`: of another ICE session)."""
    session, key = await _living(asker, way, call_id, name)
    if etag_of(name, told.ufrag, key.secret) not in etags:
        raise RefusedError(Code.PRECONDITION_FAILED, "these are not the ICE credentials of that entity tag")
    _count(asker, session.user_id, session.device_id, MediaAct.CANDIDATES)
    await _trickle(asker, way, session, told)


async def restart(asker: Asker, way: Way, call_id: UUID, name: str, told: Fragment) -> tuple[str, str]:
    """Begin ICE anew on the same connection: the fragment that answers, and the new entity tag."""
    session, key = await _living(asker, way, call_id, name)
    for act in (MediaAct.OFFER, MediaAct.CANDIDATES) if told.candidates else (MediaAct.OFFER,):
        _count(asker, session.user_id, session.device_id, act)
    answer = await _ask(asker, way, session, Restart(session.pc, told.ufrag, told.pwd))
    if told.candidates:
        await _trickle(asker, way, session, told)
    return write_fragment(answer), etag_of(name, told.ufrag, key.secret)


async def close_session(asker: Asker, way: Way, call_id: UUID, name: str) -> None:
    """End the connection, and with the last one the part in the call. Ending it twice is fine.

    An encoder that crashed and came back has two sessions; one participant may publish and play. So the worker is asked
    what else there is, and nobody leaves whose other session lives.
    """
    session, _ = await _find(asker, way, call_id, name)
    call = await calling.look(asker, call_id)
    if call.ended or not _goes_on(call, session):
        return
    alone = session.own or session.device_id in DEVICES
    left = await _close(asker, way, session, alone=alone)
    if alone and not left:
        await calling.hang_up(asker, call_id, Act(user_id=session.user_id, device_id=session.device_id))


async def _close(asker: Asker, way: Way, session: MediaSession, *, alone: bool) -> int:
    """How many other sessions of that device live. `alone`: it is in the call by such sessions only."""
    answer = await asker.deps.ask(_sender(asker, way, session), UUID(session.call_id), Close(session.pc, alone))
    if not isinstance(answer, Refusal):
        return int(answer["left"])
    if alone and answer.code is Code.MEDIA_UNAVAILABLE:
        return 0  # nobody carries anything of it
    raise refused(answer)


async def _trickle(asker: Asker, way: Way, session: MediaSession, told: Fragment) -> None:
    refusal = await asker.deps.signal(
        _sender(asker, way, session), UUID(session.call_id), Candidates(SFU, told.candidates, session.pc)
    )
    if refusal and refusal.code is Code.INVALID_REQUEST:  # a name that we gave ourselves: the connection is over
        raise _over()
    if refusal:
        raise refused(refusal)


def _granted(principal: Principal, way: Way) -> None:
    if refusal := may_publish(principal) if way is Way.WHIP else may_subscribe(principal):
        raise refused(refusal)


def _device(asker: Asker, way: Way, call: Call, user_id: str) -> str | None:
    """The device that is in the call, or the one that will be."""
    leg = call.leg(user_id)
    if leg is not None and leg.joined:
        return leg.device_id
    return allowed(acting_device(asker.principal, asker.principal.device_id or way.value))


def _count(asker: Asker, user_id: str, device_id: str | None, act: MediaAct) -> None:
    asker.deps.limits.count_media(asker.principal.app_id, user_id, device_id, act)


def _sound(asker: Asker, way: Way, call: Call, user_id: str, offer: str) -> str:
    """The ufrag of an offer that a worker would take. Raises `RefusedError`."""
    try:
        ufrag, _ = ice_credentials(offer)
    except FragmentError as error:
        raise RefusedError(Code.INVALID_REQUEST, f"body: {error}") from None
    if refusal := unroutable(call):
        raise refused(refusal, call)
    role = leg.role if (leg := call.leg(user_id)) else newcomers_role(asker.principal)
    if way is Way.WHIP and role is Role.SUBSCRIBER:
        raise RefusedError(Code.MEDIA_PERMISSION_DENIED, "a subscriber publishes nothing")
    if refusal := objection(call, offer, publish=way is Way.WHIP, subscribe=way is Way.WHEP):
        raise refused(refusal)
    return ufrag


async def _take_part(asker: Asker, way: Way, call: Call, user_id: str) -> tuple[Call, Leg, bool]:
    """The call, the user's leg, which is in it, and whether it came in just now."""
    leg = call.leg(user_id)
    if leg is not None and leg.joined:
        return call, leg, False
    device_id = _device(asker, way, call, user_id)
    joined = await calling.come_in(asker, UUID(call.id), JoinCall(user_id=user_id, device_id=device_id))
    found = joined.leg(user_id)
    if found is None or not found.joined:
        raise RefusedError(Code.NOT_PARTICIPANT, "you are not in this call")
    return joined, found, True


async def _route(asker: Asker, call: Call) -> None:
    """Two who carry their media themselves move to a worker, where they may."""
    if call.topology is not Topology.ROUTED:
        await calling.do(asker, UUID(call.id), Route(asker.principal.actor))


def _sender(asker: Asker, way: Way, session: MediaSession) -> Sender:
    return Sender(
        app_id=asker.principal.app_id,
        user_id=session.user_id,
        device_id=session.device_id,
        publish=way is Way.WHIP,
        subscribe=way is Way.WHEP,
    )


async def _ask(asker: Asker, way: Way, session: MediaSession, message: Message) -> str:
    """The SDP that the worker answers with."""
    answer = await asker.deps.ask(_sender(asker, way, session), UUID(session.call_id), message)
    if isinstance(answer, Refusal):
        raise refused(answer)
    return str(answer["description"]["sdp"])


async def _signer(asker: Asker) -> SigningKey:
    key = await asker.deps.book.signer(asker.principal.app_id)
    if key is None:
        raise RefusedError(Code.NOT_AUTHORIZED, "the app has no signing key, so nobody can be let in")
    return key


def _goes_on(call: Call, session: MediaSession) -> bool:
    """Whether the participant is in the call as it was when the session began: same device, same attempt."""
    leg = call.leg(session.user_id)
    return leg is not None and leg.joined and (leg.device_id, leg.attempt) == (session.device_id, session.attempt)


def _over() -> RefusedError:
    return RefusedError(Code.NOT_FOUND, "this session is over; POST a new offer")


async def _living(asker: Asker, way: Way, call_id: UUID, name: str) -> tuple[MediaSession, SigningKey]:
    """As :func:`_find`, for what needs the participant in the call. Raises `call_ended`, too."""
    session, key = await _find(asker, way, call_id, name)
    call = await calling.look(asker, call_id)
    if call.ended:
        raise RefusedError(Code.CALL_ENDED, f"the call has ended: {call.end_reason}")
    if not _goes_on(call, session):
        raise _over()
    return session, key


async def _find(asker: Asker, way: Way, call_id: UUID, name: str) -> tuple[MediaSession, SigningKey]:
    """The session of that URL, if it is the asker's. Raises `RefusedError` (`not_found`)."""
    principal = asker.principal
    kid = key_of(name)
    key = await asker.deps.book.signing_key(kid) if kid else None
    session = session_of(name, key.secret) if key and key.app.id == principal.app_id else None
    mine = session is not None and principal.user_id in {None, session.user_id}
    if session is None or key is None or not mine or session.call_id != str(call_id) or not session.pc.startswith(way):
        raise RefusedError(Code.NOT_FOUND, "there is no such session")
    return session, key
