"""People as a backend keeps them and as they see themselves."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from service.wire.shapes import Body, Flag, Moment, View
from service.wire.texts import Line, Name, UserId

MOST_BLOCKED = 1_000

Locale = Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8})*$")]
"""A language tag (RFC 5646); an underscore is taken for a hyphen's sake."""
Phone = Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9A-Za-z+*#().,;=:@ /_-]+$")]
"""A number as people write it, or a `sip:` or `tel:` address."""
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")]


OWN_FIELDS = frozenset({"name", "avatar_url", "locale", "can_video", "do_not_disturb", "blocked_users"})
"""What users may say of themselves; where they can be reached outside is their backend's to say."""


class UserBody(Body):
    """What shall be known of a user from now on: what is left out stays as it is, null goes back to the default.

    `blocked_users` cannot ring this user (403 `forbidden_by_policy`). `can_video: false` says that the user's clients
    have no camera. `do_not_disturb` declines every ring at once (scenario 27). Only an API key may give `email` and
    `phone`.
    """

    name: Name | None = None
    avatar_url: Line | None = None
    email: Email | None = None
    phone: Phone | None = None
    locale: Locale | None = None
    can_video: Flag | None = True
    do_not_disturb: Flag | None = False
    blocked_users: Annotated[tuple[UserId, ...], Field(max_length=MOST_BLOCKED)] | None = ()

    def said(self) -> dict[str, Any]:
        """The fields that were given, null as the default it stands for."""
        return {
            name: field.default if (value := getattr(self, name)) is None else value
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set
        }


class UserView(View):
    """A user. `last_seen_at` is when a device of theirs was last on a socket."""

    user_id: str
    name: str | None
    avatar_url: str | None
    email: str | None
    phone: str | None
    locale: str | None
    can_video: bool
    do_not_disturb: bool
    blocked_users: list[str]
    last_seen_at: Moment | None
    created_at: Moment
    updated_at: Moment
