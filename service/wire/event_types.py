"""The names of all events, and the patterns by which a subscriber chooses among them."""

from collections.abc import Iterable

from service.core.vocabulary import EventType

PASSING_TYPES = ("speaker.changed", "quality.reported")
"""Told to sockets only: nobody keeps them, so that they are neither delivered to webhooks nor in the feed."""
OTHER_TYPES = (
    "presence.changed",
    "device.registered",
    "device.removed",
    "archive.started",
    "archive.stopped",
    "archive.available",
    "archive.failed",
    "webhook.test",
    "webhook.disabled",
)
KEPT_TYPES = (*(member.value for member in EventType), *OTHER_TYPES)
"""What webhooks and the feed get; what a later part of the service tells can be subscribed to already."""
EVENT_TYPES = (*KEPT_TYPES, *PASSING_TYPES)
"""Every name in the vocabulary."""
GROUPS = frozenset(name.partition(".")[0] for name in KEPT_TYPES)
ALL = "*"


def check_pattern(pattern: str) -> str:
    """A type pattern: an event's exact name, a group (`call.*`) or `*`.

    Raises `ValueError` for anything else, and for what chooses passing events alone: nothing would ever come.
    """
    group, _, rest = pattern.partition(".")
    if pattern == ALL or pattern in KEPT_TYPES or (rest == ALL and group in GROUPS):
        return pattern
    if group in {name.partition(".")[0] for name in PASSING_TYPES}:
        raise ValueError(f"{' and '.join(PASSING_TYPES)} are told to sockets only")
    raise ValueError("a type is the exact name of an event, a group such as call.*, or *")


def like_patterns(patterns: Iterable[str]) -> list[str]:
    """The same patterns for SQL's LIKE, whose own wildcards `_` and `%` stand for themselves in a name."""
    escaped = (pattern.replace("\\", r"\\").replace("_", r"\_").replace("%", r"\%") for pattern in patterns)
    return [pattern.replace(ALL, "%") for pattern in escaped]
