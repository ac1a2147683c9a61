"""WHIP (RFC 9725) and WHEP: an encoder or a player joins a call by an HTTP request with its SDP offer."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api import whip
from service.api.connections import public_address
from service.api.declared import refusals
from service.api.door import Ask, Door
from service.api.errors import RefusedError
from service.api.kinds import chosen
from service.api.replies import Reply
from service.api.whip import Opened, Way
from service.core.refusals import Code
from service.wire.fragments import FragmentError, read_fragment
from service.wire.frames import LONGEST_SDP, too_long
from service.wire.ice import IceServer
from service.wire.requests import ForUser

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
RESTART = frozenset({"*", '"*"'})

Offer = Annotated[str, Body(media_type=SDP)]
Fragment = Annotated[str, Body(media_type=FRAGMENT)]
Name = Annotated[str, Path(min_length=1)]
IfMatch = Annotated[str | None, Header()]

routes = APIRouter(route_class=Door, tags=["media"])

NO = refusals(
    Code.NOT_PARTICIPANT,
    Code.MEDIA_PERMISSION_DENIED,
    Code.FORBIDDEN_BY_POLICY,
    Code.INITIATOR_BUSY,
    Code.CAPACITY_EXCEEDED,
    Code.CALL_ENDED,
    Code.NOT_ACCEPTABLE,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.MEDIA_UNAVAILABLE,
)
NOT_PATCHED = refusals(
    Code.NOT_PARTICIPANT,
    Code.CALL_ENDED,
    Code.PRECONDITION_FAILED,
    Code.PRECONDITION_REQUIRED,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.MEDIA_PERMISSION_DENIED,
    Code.MEDIA_UNAVAILABLE,
)
NOT_CLOSED = refusals(Code.NOT_PARTICIPANT, Code.CALL_ENDED, Code.MEDIA_UNAVAILABLE, Code.NOT_INITIATOR)


def _text(**facts: object) -> dict[str, Any]:
    return {"schema": {"type": "string"}, **facts}


def _etag() -> dict[str, Any]:
    return _text(required=True, description="Goes into `If-Match` of a PATCH with candidates.")


def _opened() -> dict[str, Any]:
    headers = {
        "Location": _text(required=True, description="The session: PATCH and DELETE it there."),
        "ETag": _etag(),
        "Link": _text(description='STUN and TURN servers, `rel="ice-server"`, where there are any.'),
        "Accept-Patch": _text(),
    }
    return {"description": "The SDP answer.", "content": {SDP: _text()}, "headers": headers}


def _restarted() -> dict[str, Any]:
    return {
        "description": "ICE begins anew: the worker's credentials and candidates.",
        "content": {FRAGMENT: _text()},
        "headers": {"ETag": _etag()},
    }


@routes.post(
    "/v1/calls/{call_id}/whip",
    summary="Publish into the call (WHIP)",
    status_code=201,
    response_class=Response,
    responses={201: _opened(), **NO},
)
async def publish_to_call(ask: Ask, call_id: UUID, query: Annotated[ForUser, Query()], offer: Offer) -> Response:
    """RFC 9725. For a user's token, or an API key with `user_id`.

    A call of two that carry their media themselves moves to a media worker by it; one that was asked to be relayed
    refuses it.

    Who is in the call gets one more connection; anybody else joins with the device `whip` and leaves with the last
    session. Whom the call rings answers it so: the other devices stop ringing. There is no `Idempotency-Key`: every
    POST makes a session, and one that nobody uses ends by itself.
    """
    return await _open(ask, Way.WHIP, call_id, query.user_id, offer)


@routes.post(
    "/v1/calls/{call_id}/whep",
    summary="Play the call (WHEP)",
    status_code=201,
    response_class=Response,
    responses={201: _opened(), **NO},
)
async def play_call(ask: Ask, call_id: UUID, query: Annotated[ForUser, Query()], offer: Offer) -> Response:
    """draft-ietf-wish-whep, the client offers. As WHIP; each section receives one participant at a time.

    Loudest sound, active picture. The device is `whep`.
    """
    return await _open(ask, Way.WHEP, call_id, query.user_id, offer)


@routes.patch(
    "/v1/calls/{call_id}/whip/{name}",
    summary="Candidates of a WHIP session, or ICE anew",
    status_code=204,
    response_class=Response,
    responses={200: _restarted(), **NOT_PATCHED},
)
async def patch_whip(ask: Ask, call_id: UUID, name: Name, fragment: Fragment, if_match: IfMatch = None) -> Response:
    """204 with the entity tag in `If-Match`; with `If-Match: "*"` and new credentials ICE is restarted.

    404 when the connection is over: POST a new offer then.
    """
    return await _patch(ask, Way.WHIP, call_id, name, fragment, if_match)


@routes.patch(
    "/v1/calls/{call_id}/whep/{name}",
    summary="Candidates of a WHEP session, or ICE anew",
    status_code=204,
    response_class=Response,
    responses={200: _restarted(), **NOT_PATCHED},
)
async def patch_whep(ask: Ask, call_id: UUID, name: Name, fragment: Fragment, if_match: IfMatch = None) -> Response:
    """As for WHIP."""
    return await _patch(ask, Way.WHEP, call_id, name, fragment, if_match)


@routes.delete(
    "/v1/calls/{call_id}/whip/{name}",
    summary="End a WHIP session",
    response_class=Response,
    responses={200: {"description": "It is over."}, **NOT_CLOSED},
)
async def delete_whip(ask: Ask, call_id: UUID, name: Name) -> Response:
    """The last session of somebody whose device is `whip` or `whep`, or who came in by it, ends their part, too."""
    return await _delete(ask, Way.WHIP, call_id, name)


@routes.delete(
    "/v1/calls/{call_id}/whep/{name}",
    summary="End a WHEP session",
    response_class=Response,
    responses={200: {"description": "It is over."}, **NOT_CLOSED},
)
async def delete_whep(ask: Ask, call_id: UUID, name: Name) -> Response:
    """As for WHIP."""
    return await _delete(ask, Way.WHEP, call_id, name)


@routes.options("/v1/calls/{call_id}/whip", include_in_schema=False)
@routes.options("/v1/calls/{call_id}/whep", include_in_schema=False)
async def whip_options(request: Request, call_id: UUID) -> Response:
    """What may be posted (RFC 9725 section 4.2). Says nothing of the call, so nobody has to show who they are."""
    del request, call_id
    return _empty(204, (b"allow", b"OPTIONS, POST"), (b"accept-post", SDP.encode()))


@routes.options("/v1/calls/{call_id}/whip/{name}", include_in_schema=False)
@routes.options("/v1/calls/{call_id}/whep/{name}", include_in_schema=False)
async def whip_session_options(request: Request, call_id: UUID, name: Name) -> Response:
    """What may be patched."""
    del request, call_id, name
    return _empty(204, (b"allow", b"DELETE, OPTIONS, PATCH"), (b"accept-patch", FRAGMENT.encode()))


async def _open(ask: Ask, way: Way, call_id: UUID, user_id: str | None, offer: str) -> Response:
    chosen(ask, SDP)
    if too_long(offer):
        raise RefusedError(Code.PAYLOAD_TOO_LARGE, f"an SDP may have at most {LONGEST_SDP} bytes")
    opened = await whip.open_session(ask.asker, way, call_id, user_id, offer)
    return Reply(opened.sdp.encode(), 201, headers=_headers(ask, way, call_id, opened), content_type=SDP.encode())


def _headers(ask: Ask, way: Way, call_id: UUID, opened: Opened) -> tuple[tuple[bytes, bytes], ...]:
    servers = ask.deps.ice.servers_for(opened.user_id, ask.deps.clock())
    return (
        (b"location", public_address(ask.deps, f"/v1/calls/{call_id}/{way}/{opened.name}").encode()),
        (b"etag", opened.etag.encode()),
        (b"accept-patch", FRAGMENT.encode()),
        *((b"link", link.encode()) for server in servers for link in links(server)),
    )


async def _patch(ask: Ask, way: Way, call_id: UUID, name: str, fragment: str, if_match: str | None) -> Response:
    if if_match is None:
        raise RefusedError(Code.PRECONDITION_REQUIRED, 'If-Match: the entity tag of the session, or "*" to restart ICE')
    try:
        told = read_fragment(fragment)
    except FragmentError as error:
        raise RefusedError(Code.INVALID_REQUEST, f"body: {error}") from None
    if if_match.strip() not in RESTART:
        await whip.trickle(ask.asker, way, call_id, name, _tags(if_match), told)
        return _empty(204)
    answer, etag = await whip.restart(ask.asker, way, call_id, name, told)
    return Reply(answer.encode(), headers=((b"etag", etag.encode()),), content_type=FRAGMENT.encode())


def _tags(if_match: str) -> frozenset[str]:
    """The entity tags of a list (RFC 9110 section 13.1.1). A weak one is never that of a session."""
    return frozenset(tag.strip() for tag in if_match.split(","))


async def _delete(ask: Ask, way: Way, call_id: UUID, name: str) -> Response:
    await whip.close_session(ask.asker, way, call_id, name)
    return _empty(200, (b"content-length", b"0"))


def _empty(status: int, *headers: tuple[bytes, bytes]) -> Reply:
    reply = Reply(b"", status)
    reply.raw_headers = list(headers)
    return reply


def links(server: IceServer) -> list[str]:
    """An ICE server as header values (RFC 9725 section 4.6)."""
    end = '; rel="ice-server"'
    if server.username is not None and server.credential is not None:
        end += f'; username="{_quoted(server.username)}"; credential="{_quoted(server.credential)}"'
        end += '; credential-type="password"'
    return [f"<{url}>{end}" for url in server.urls]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
