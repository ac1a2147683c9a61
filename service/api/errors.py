"""From every "no" and every fault to an answer: one table of statuses, one shape."""

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from service.api.replies import Reply
from service.core.calls import Call
from service.core.refusals import Code, Refusal
from service.store.database import ConflictError, StoreUnavailableError
from service.wire.problems import CONTENT_TYPE, problem, refusal_extra
from service.wire.texts import TOO_LARGE
from service.wire.tokens import TokenError

LOG = logging.getLogger(__name__)

STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.NOT_AUTHENTICATED: 401,
        Code.TOKEN_EXPIRED: 401,
        Code.TOKEN_REVOKED: 401,
        Code.NOT_AUTHORIZED: 403,
        Code.NOT_PARTICIPANT: 403,
        Code.NOT_INITIATOR: 403,
        Code.MEDIA_PERMISSION_DENIED: 403,
        Code.FORBIDDEN_BY_POLICY: 403,
        Code.NOT_FOUND: 404,
        Code.INVALID_USERS: 404,
        Code.METHOD_NOT_ALLOWED: 405,
        Code.NOT_ACCEPTABLE: 406,
        Code.INITIATOR_BUSY: 409,
        Code.ALREADY_ANSWERED: 409,
        Code.ALREADY_DECLINED: 409,
        Code.NOT_RINGING: 409,
        Code.CAPACITY_EXCEEDED: 409,
        Code.IDEMPOTENCY_CONFLICT: 409,
        Code.CALL_ENDED: 410,
        Code.RING_EXPIRED: 410,
        Code.PRECONDITION_FAILED: 412,
        Code.PAYLOAD_TOO_LARGE: 413,
        Code.UNSUPPORTED_MEDIA_TYPE: 415,
        Code.INVALID_REQUEST: 422,
        Code.CANNOT_CALL_SELF: 422,
        Code.PRECONDITION_REQUIRED: 428,
        Code.RATE_LIMITED: 429,
        Code.INTERNAL_ERROR: 500,
        Code.MEDIA_UNAVAILABLE: 503,
        Code.SERVICE_UNAVAILABLE: 503,
    }
)
PLAINER: Mapping[str, str] = MappingProxyType(
    {
        "model_type": "must be an object",
        "model_attributes_type": "must be an object",
        "extra_forbidden": "there is no such field",
        "missing": "is required",
        "string_pattern_mismatch": "has characters that are not allowed here",
        "uuid_parsing": "is not a UUID",
        "uuid_type": "is not a UUID",
    }
)
"""What pydantic says otherwise; its own words would repeat what was sent, or speak of classes."""
NAME = re.compile(r"[a-z0-9_]{1,64}|expirationTime", re.ASCII)
"""Names as this interface has them; anything else came from outside, or is a class of ours."""
TOO_SHORT = "too_short"
RETRY_AFTER_S = 1
SHOWN_FAULTS = 20

Headers = tuple[tuple[bytes, bytes], ...]


class RefusedError(Exception):
    """A "no" on its way out of an endpoint."""

    def __init__(self, code: Code, detail: str, extra: Mapping[str, Any] | None = None, headers: Headers = ()) -> None:
        super().__init__(detail)
        self.code, self.detail, self.extra, self.headers = code, detail, extra, headers

    def problem(self) -> dict[str, Any]:
        """The object that is answered, over HTTP and in the socket's error frames."""
        return problem(self.code, STATUS[self.code], self.detail, self.extra)


def refused(refusal: Refusal, call: Call | None = None) -> RefusedError:
    """A refusal of the machine or of the rights, with the call as it is where the code promises it."""
    return RefusedError(refusal.code, refusal.detail, refusal_extra(refusal, call))


def rate_limited(retry_after_s: int) -> RefusedError:
    """Too many requests: come back after that many seconds."""
    headers = ((b"retry-after", str(retry_after_s).encode()),)
    return RefusedError(Code.RATE_LIMITED, f"too many requests; try again in {retry_after_s} s", headers=headers)


def refusal_of(error: Exception) -> RefusedError:
    """What any exception means to the one who asked. What nobody expected is logged here and told without details."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, TokenError):
        return RefusedError(error.code, error.detail, headers=((b"www-authenticate", b"Bearer"),))
    if isinstance(error, ValidationError):
        return invalid(error)
    if isinstance(error, StoreUnavailableError | ConflictError):
        LOG.warning("not available: %s", error)
        headers = ((b"retry-after", str(RETRY_AFTER_S).encode()),)
        return RefusedError(Code.SERVICE_UNAVAILABLE, "the service cannot answer now; try again", headers=headers)
    if isinstance(error, HTTPException):
        return _of_the_framework(error)
    LOG.error("unexpected error", exc_info=error)
    return RefusedError(Code.INTERNAL_ERROR, "an unexpected error; it has been logged")


def invalid(error: ValidationError, where: str = "") -> RefusedError:
    """A body, query or header that does not fit its shape: 422, or 413 where content is larger than allowed.

    Nothing of what was sent is repeated but plain names.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    found = [fault for fault in found if not (fault["type"] == TOO_SHORT and _within(fault["loc"], found))]
    large = next((fault for fault in found if fault["type"] == TOO_LARGE), None)
    if large:
        return RefusedError(Code.PAYLOAD_TOO_LARGE, f"{_where(where, large['loc'])}: {large['msg']}")
    faults = [
        {"where": _where(where, fault["loc"]), "what": _what(fault["type"], fault["msg"])}
        for fault in found[:SHOWN_FAULTS]
    ]
    first = faults[0]
    detail = f"{first['where']}: {first['what']}" if first["where"] else first["what"]
    return RefusedError(Code.INVALID_REQUEST, detail, {"errors": faults})


def _within(path: tuple[int | str, ...], faults: list[ErrorDetails]) -> bool:
    """Whether something inside is at fault: pydantic does not count it, and calls what has it too short, besides."""
    return any(len(fault["loc"]) > len(path) and fault["loc"][: len(path)] == path for fault in faults)


def _where(front: str, path: tuple[int | str, ...]) -> str:
    """`body.participants.0.role`; without the names that pydantic gives to the branches of a union."""
    parts = (str(part) for part in path)
    return ".".join((front, *(part for part in parts if NAME.fullmatch(part)))).strip(".")


def _what(kind: str, message: str) -> str:
    if kind in PLAINER:
        return PLAINER[kind]
    return message.removeprefix("Value error, ").removeprefix("Input ").replace("Tuple should", "should")


def _of_the_framework(error: HTTPException) -> RefusedError:
    headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
    if error.status_code == 405:
        return RefusedError(Code.METHOD_NOT_ALLOWED, "there is no such method here", headers=headers)
    if error.status_code == 404:
        return RefusedError(Code.NOT_FOUND, "there is nothing at this address")
    return RefusedError(Code.INVALID_REQUEST, "the request is not valid")


def reply_to(error: Exception) -> Reply:
    """The answer to a request that failed."""
    refusal = refusal_of(error)
    return Reply(refusal.problem(), STATUS[refusal.code], headers=refusal.headers, content_type=CONTENT_TYPE.encode())
