"""Answers made of shapes: one object, or one page of a list."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.api.replies import Reply
from service.wire.shapes import View, cursor_of

Item = TypeVar("Item", bound=View)


def one(view: View, status: int = 200) -> Reply:
    """One object."""
    return Reply(view.model_dump_json().encode(), status)


def page(found: Sequence[Item], limit: int, key: Callable[[Item], str]) -> Reply:
    """A page of what was found. Ask the store for `limit` + 1 items: the one too many says that there are more."""
    items = found[:limit]
    following = cursor_of(key(items[-1])) if len(found) > limit else None
    return Reply({"items": [item.model_dump(mode="json") for item in items], "next_cursor": following})
