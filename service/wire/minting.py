"""User tokens as a backend asks for them (`POST /v1/tokens`)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.core.rights import TokenKind
from service.core.vocabulary import Role
from service.wire.shapes import Body, Moment, View, Whole
from service.wire.texts import Name, TokenData, UserId

LONGEST_TTL_S = 30 * 24 * 3_600


class TokenBody(Body):
    """Whom the token shall stand for, and for how many seconds (at most 30 days).

    `call_id` limits it to one call, and lets its holder join that call. `data` is the app's own metadata, at most 1 KB.
    A `kind` of `guest` is never rung: it makes no user, registers no device, and comes in by a token for the call.
    """

    user_id: UserId
    name: Name | None = None
    role: Role = Role.PUBLISHER
    ttl_s: Annotated[Whole, Field(ge=1, le=LONGEST_TTL_S)] = 3_600
    call_id: UUID | None = None
    data: TokenData | None = None
    kind: TokenKind = TokenKind.STANDARD


class TokenView(View):
    """A user token. Whoever has it is that user, until `expires_at`."""

    token: str
    user_id: str
    expires_at: Moment
