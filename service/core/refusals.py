"""Every "no" of the machine, with its stable code. Errors are values; HTTP is decided elsewhere."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Stable error codes of the interface."""

    INVALID_REQUEST = "invalid_request"
    INVALID_USERS = "invalid_users"
    CANNOT_CALL_SELF = "cannot_call_self"
    INITIATOR_BUSY = "initiator_busy"
    NOT_PARTICIPANT = "not_participant"
    NOT_INITIATOR = "not_initiator"
    ALREADY_ANSWERED = "already_answered"
    ALREADY_DECLINED = "already_declined"
    CALL_ENDED = "call_ended"
    RING_EXPIRED = "ring_expired"
    NOT_RINGING = "not_ringing"
    CAPACITY_EXCEEDED = "capacity_exceeded"
    MEDIA_PERMISSION_DENIED = "media_permission_denied"
    FORBIDDEN_BY_POLICY = "forbidden_by_policy"
    MEDIA_UNAVAILABLE = "media_unavailable"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    RATE_LIMITED = "rate_limited"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    NOT_AUTHENTICATED = "not_authenticated"
    NOT_AUTHORIZED = "not_authorized"
    NOT_FOUND = "not_found"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    PRECONDITION_FAILED = "precondition_failed"
    PRECONDITION_REQUIRED = "precondition_required"
    SERVICE_UNAVAILABLE = "service_unavailable"
    INTERNAL_ERROR = "internal_error"


@dataclass(slots=True, frozen=True)
class Refusal:
    """A "no" with its code and one plain sentence. `users` names the users concerned, if any."""

    code: Code
    detail: str
    users: tuple[str, ...] = ()
