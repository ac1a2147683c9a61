"""Canonical JSON (RFC 8785), the text that hashes and chains are made of.

orjson with sorted keys already writes the canonical form of everything except floats, integers beyond 2^53 and keys
outside the basic plane; only those take the slower library.
"""

from datetime import datetime
from typing import Any

import orjson
import rfc8785

SAFE_INTEGER = 2**53 - 1
LONGEST_PLAIN_DOUBLE = 10**21
"""From here on the canonical form of a double has an exponent."""
ASTRAL = "\uffff"


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of plain JSON data. Raises `ValueError` for what JSON cannot carry."""
    if is_plain(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return rfc8785.dumps(_doubles(value))


def _doubles(value: Any) -> Any:
    """Integers that only a double can carry, as that double: its canonical form may be a long integer again."""
    if isinstance(value, dict):
        return {key: _doubles(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_doubles(item) for item in value]
    if isinstance(value, int) and not is_plain(value) and abs(value) < LONGEST_PLAIN_DOUBLE:
        double = float(value)
        return double if rfc8785.dumps(double) == str(value).encode() else value
    return value


def is_plain(value: Any) -> bool:
    """Whether orjson's sorted form is the canonical one."""
    if value is None or isinstance(value, str | bool):
        return True
    if isinstance(value, int):
        return -SAFE_INTEGER <= value <= SAFE_INTEGER
    if isinstance(value, dict):
        return all(max(key, default="") <= ASTRAL and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    return False


def rfc3339(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; `at` must be aware and in UTC."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def rfc3339_or_none(at: datetime | None) -> str | None:
    """As :func:`rfc3339`, passing `None` through."""
    return None if at is None else rfc3339(at)
