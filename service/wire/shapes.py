"""What the shapes of requests and answers have in common: strictness, times, pages."""

import base64
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, Strict, WithJsonSchema

from service.wire.canonical import rfc3339

Item = TypeVar("Item")

DEFAULT_PAGE = 50
LARGEST_PAGE = 200

Flag = Annotated[bool, Strict()]
"""true or false, and nothing that merely looks like it."""
Whole = Annotated[int, Strict()]
"""A JSON integer; texts and fractions are refused."""
Moment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-20T08:15:30.123Z"]}),
]
"""RFC 3339 in UTC with milliseconds."""


class Body(BaseModel):
    """What a client sends: unknown fields are refused, and no error repeats what was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class View(BaseModel):
    """What the service answers. Absent facts are null, so that a shape always has the same fields."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(View, Generic[Item]):
    """One page of a list; `next_cursor` asks for the next one, null at the end."""

    items: list[Item]
    next_cursor: str | None = None


def cursor_of(key: str) -> str:
    """The cursor behind the item with this key. Clients pass it back as it is."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(cursor: str | None) -> str | None:
    """The key in a cursor; `None` for the first page. Raises `ValueError` for what is no cursor."""
    if cursor is None:
        return None
    try:
        key = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        key = "\0"
    if "\0" in key:
        raise ValueError("not a cursor of this list")
    return key


class SizedQuery(Body):
    """How much of a list: up to `limit` items."""

    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = DEFAULT_PAGE


class PageQuery(SizedQuery):
    """Which part of a list: what comes behind `cursor`, the `next_cursor` of the page before."""

    cursor: Annotated[str | None, Field(max_length=1_024), AfterValidator(key_of)] = None
