"""Problems: the one shape of every "no", over HTTP (RFC 9457) and inside the socket's error frames."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from service.core.calls import Call
from service.core.refusals import Code, Refusal
from service.wire.snapshots import call_snapshot

CONTENT_TYPE = "application/problem+json"

CARRIES_CALL = frozenset({Code.CALL_ENDED, Code.RING_EXPIRED, Code.ALREADY_ANSWERED, Code.ALREADY_DECLINED})
"""Whoever is too late is told how it went: these problems carry the call's snapshot in `call`."""

TITLES: Mapping[Code, str] = MappingProxyType(
    {
        Code.INVALID_REQUEST: "The request is not valid",
        Code.INVALID_USERS: "There is no such user",
        Code.CANNOT_CALL_SELF: "You cannot call yourself",
        Code.INITIATOR_BUSY: "The caller is in another call",
        Code.NOT_PARTICIPANT: "Not a participant of this call",
        Code.NOT_INITIATOR: "Only the initiator may do this",
        Code.ALREADY_ANSWERED: "The call was answered already",
        Code.ALREADY_DECLINED: "The call was declined already",
        Code.CALL_ENDED: "The call has ended",
        Code.RING_EXPIRED: "The ring has expired",
        Code.NOT_RINGING: "Nothing rings here",
        Code.CAPACITY_EXCEEDED: "Too many participants",
        Code.MEDIA_PERMISSION_DENIED: "The media is not permitted",
        Code.FORBIDDEN_BY_POLICY: "A policy forbids it",
        Code.MEDIA_UNAVAILABLE: "No media worker is available",
        Code.IDEMPOTENCY_CONFLICT: "The idempotency key was used for something else",
        Code.RATE_LIMITED: "Too many requests",
        Code.TOKEN_EXPIRED: "The token has expired",
        Code.TOKEN_REVOKED: "The token was revoked",
        Code.NOT_AUTHENTICATED: "No valid credential",
        Code.NOT_AUTHORIZED: "Not allowed",
        Code.NOT_FOUND: "Not found",
        Code.PAYLOAD_TOO_LARGE: "The request is too large",
        Code.METHOD_NOT_ALLOWED: "The method is not allowed here",
        Code.NOT_ACCEPTABLE: "There is no answer of that kind",
        Code.UNSUPPORTED_MEDIA_TYPE: "The body is of another kind than is taken here",
        Code.PRECONDITION_FAILED: "It has changed meanwhile",
        Code.PRECONDITION_REQUIRED: "If-Match is needed",
        Code.SERVICE_UNAVAILABLE: "The service is not available at the moment",
        Code.INTERNAL_ERROR: "Something went wrong inside the service",
    }
)


def problem(code: Code, status: int, detail: str, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A problem object: `{type, title, status, detail, code, …}`. `code` is stable, `detail` is for people."""
    shape = {
        "type": f"urn:hookswitch:problem:{code.value}",
        "title": TITLES[code],
        "status": status,
        "detail": detail,
        "code": code.value,
    }
    return {**shape, **extra} if extra else shape


def refusal_extra(refusal: Refusal, call: Call | None) -> dict[str, Any]:
    """What a refusal of the machine says beyond its sentence: whom it concerns, and how the call stands."""
    extra: dict[str, Any] = {}
    if refusal.users:
        extra["users"] = list(refusal.users)
    if call is not None and refusal.code in CARRIES_CALL:
        extra["call"] = call_snapshot(call)
    return extra
