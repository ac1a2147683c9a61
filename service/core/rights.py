"""Who may do what: API keys, user tokens and ring action tokens, and what each may ask for.

A principal is whoever is behind a request or a socket, after its credential has been checked. The functions here are
asked before a command reaches the machine; whether the command makes sense in the call's state is the machine's word.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from service.core.calls import Actor, Call
from service.core.refusals import Code, Refusal
from service.core.vocabulary import ActorType, LegState, Role


class Credential(StrEnum):
    """What kind of credential was shown."""

    API_KEY = "api_key"
    USER = "user"
    RING = "ring"


RANKS = (Role.SUBSCRIBER, Role.PUBLISHER, Role.MODERATOR)
"""Each may do all that those before it may."""


class TokenKind(StrEnum):
    """What kind of client holds a user token. A guest is let into a call by a token for it, and is never rung."""

    STANDARD = "standard"
    GUEST = "guest"
    SIP = "sip"
    RECORDER = "recorder"
    TV = "tv"


@dataclass(slots=True, frozen=True)
class Grants:
    """What the holder of a user token may do inside a call (O-05 to O-07)."""

    publish: bool = True
    subscribe: bool = True
    signal: bool = True
    record: bool = False
    moderate: bool = False


def grants_of(role: Role) -> Grants:
    """What a role grants by itself; a token's own `grants` claim changes single ones."""
    if role is Role.MODERATOR:
        return Grants(record=True, moderate=True)
    if role is Role.SUBSCRIBER:
        return Grants(publish=False, signal=False)
    return Grants()


@dataclass(slots=True, frozen=True)
class Principal:
    """Whoever asks. `id` is the API key's id, the user's id or the ring's id.

    `call_id` limits a user token to one call; a ring token always has `user_id`, `device_id` and `call_id`.
    `issued_at` is the token's, in seconds since the epoch.
    """

    credential: Credential
    app_id: str
    id: str
    user_id: str | None = None
    device_id: str | None = None
    call_id: str | None = None
    name: str | None = None
    role: Role = Role.PUBLISHER
    grants: Grants = field(default_factory=Grants)
    kind: TokenKind = TokenKind.STANDARD
    issued_at: float | None = None

    @property
    def is_backend(self) -> bool:
        """Whether an API key was shown: it may do everything in its app."""
        return self.credential is Credential.API_KEY

    @property
    def scope(self) -> str:
        """A name for this principal that no other of the app has; idempotency keys and limits are kept by it."""
        return f"{self.credential.value}:{self.id}"

    @property
    def actor(self) -> Actor:
        """Who is written down as having done it."""
        if self.credential is Credential.API_KEY:
            return Actor(ActorType.API, self.id)
        if self.credential is Credential.RING:
            return Actor(ActorType.DEVICE, self.device_id or self.id)
        return Actor(ActorType.USER, self.user_id or self.id)


def acting_user(principal: Principal, asked: str | None, otherwise: str | None = None) -> str | Refusal:
    """Whose act it is: a user's token acts for that user alone, an API key for the user it names.

    `otherwise` is for commands that have a natural actor when a backend names none (hangup and cancel: the initiator).
    """
    if principal.user_id is not None:
        if asked is not None and asked != principal.user_id:
            return Refusal(Code.NOT_AUTHORIZED, "this token acts for its own user only")
        return principal.user_id
    user_id = asked if asked is not None else otherwise
    if user_id is None:
        return Refusal(Code.INVALID_REQUEST, "user_id: an API key has to say for which user it acts")
    return user_id


def acting_device(principal: Principal, asked: str | None) -> str | Refusal | None:
    """On which device: a token that names its device acts on that one alone."""
    if principal.device_id is None:
        return asked
    if asked is not None and asked != principal.device_id:
        return Refusal(Code.NOT_AUTHORIZED, "this token acts for its own device only")
    return principal.device_id


def role_given(principal: Principal, asked: Role | None) -> Role | Refusal:
    """The role that somebody gets whom this principal brings into a call: never above the principal's own (O-07).

    API keys may give any. Where no role is asked for it is publisher, or the giver's own if that is less.
    """
    if principal.is_backend:
        return asked or Role.PUBLISHER
    most = RANKS.index(principal.role)
    if asked is None:
        return RANKS[min(most, RANKS.index(Role.PUBLISHER))]
    if RANKS.index(asked) > most:
        return Refusal(Code.NOT_AUTHORIZED, f"this token may not give the role {asked.value}; its own is less")
    return asked


def newcomers_role(principal: Principal) -> Role:
    """The role of whoever comes into a call unasked: that of the token."""
    return Role.PUBLISHER if principal.is_backend else principal.role


def may_dial(principal: Principal) -> Refusal | None:
    """A token for one call cannot start another, and guests are let in, they do not dial (T-03)."""
    if principal.is_backend:
        return None
    if principal.call_id is not None or principal.kind is TokenKind.GUEST:
        return Refusal(Code.NOT_AUTHORIZED, "this token cannot start a call")
    return None


def may_alert(principal: Principal) -> Refusal | None:
    """Guests are not rung, so no device of theirs can say that it rings (T-03)."""
    if principal.kind is TokenKind.GUEST:
        return Refusal(Code.NOT_AUTHORIZED, "guests are not rung; join the call instead")
    return None


def may_see(principal: Principal, call: Call) -> bool:
    """Whether the call exists for this principal: users see the calls they have a part in, tokens of a call that one.

    A call that may not be seen is answered like one that does not exist.
    """
    if call.app_id != principal.app_id:
        return False
    if principal.is_backend:
        return True
    if principal.call_id is not None and principal.call_id != call.id:
        return False
    return principal.user_id is not None and call.leg(principal.user_id) is not None


def is_revoked(principal: Principal, call: Call) -> bool:
    """Whether the token is for this call and was issued before its user was removed from it (scenario 38)."""
    if principal.call_id != call.id:
        return False
    leg = call.leg(principal.user_id or "")
    since = leg.tokens_from if leg else None
    return since is not None and (principal.issued_at is None or principal.issued_at < since.timestamp())


def may_join(principal: Principal, call: Call) -> bool:
    """Whether somebody without a part in the call may come in: backends, and holders of a token for this call."""
    if call.app_id != principal.app_id:
        return False
    return principal.is_backend or principal.call_id == call.id or may_see(principal, call)


def may_moderate(principal: Principal, call: Call) -> Refusal | None:
    """Removing, muting, ending for all: backends, and moderators who are in the call (O-07)."""
    if principal.is_backend:
        return None
    leg = call.leg(principal.user_id or "")
    if leg is None or leg.state is LegState.REMOVED:
        return Refusal(Code.NOT_PARTICIPANT, "you are not in this call")
    if principal.grants.moderate or leg.role is Role.MODERATOR:
        return None
    return Refusal(Code.NOT_AUTHORIZED, "only a moderator of the call or an API key may do this")


def may_signal(principal: Principal) -> Refusal | None:
    """In-call messages need the `signal` grant."""
    if principal.is_backend or principal.grants.signal:
        return None
    return Refusal(Code.NOT_AUTHORIZED, "this token does not grant signals")


def may_publish(principal: Principal) -> Refusal | None:
    """Sending audio, video or a screen needs the `publish` grant; a subscriber has none (O-07)."""
    if principal.is_backend or principal.grants.publish:
        return None
    return Refusal(Code.MEDIA_PERMISSION_DENIED, "this token does not grant publishing")


def may_subscribe(principal: Principal) -> Refusal | None:
    """Receiving what others send needs the `subscribe` grant."""
    if principal.is_backend or principal.grants.subscribe:
        return None
    return Refusal(Code.MEDIA_PERMISSION_DENIED, "this token does not grant subscribing")


def may_read_user(principal: Principal, user_id: str) -> Refusal | None:
    """A user and its devices: backends read everybody, a user reads itself."""
    if principal.is_backend or (principal.credential is not Credential.RING and principal.user_id == user_id):
        return None
    return Refusal(Code.NOT_AUTHORIZED, "this token is for its own user only")


def may_see_presence(principal: Principal, user_id: str) -> Refusal | None:
    """Backends see everybody's presence, and so do the app's users; guests and tokens for one call their own."""
    refusal = may_read_user(principal, user_id)
    stranger = principal.call_id is not None or principal.kind is TokenKind.GUEST
    if refusal is None or (principal.credential is Credential.USER and not stranger):
        return None
    return refusal


def may_see_company(principal: Principal, user_id: str, visible_to: str) -> bool:
    """With whom somebody is busy: for backends, for oneself, and for others where the app says so (`users`)."""
    return visible_to == "users" or may_read_user(principal, user_id) is None


def may_change_user(principal: Principal, user_id: str) -> Refusal | None:
    """As :func:`may_read_user`; tokens for one call and guests change nothing (T-03).

    So they register no device that could be woken.
    """
    if refusal := may_read_user(principal, user_id):
        return refusal
    if principal.call_id is not None or principal.kind is TokenKind.GUEST:
        return Refusal(Code.NOT_AUTHORIZED, "a token for one call, or of a guest, changes nothing of its user")
    return None
