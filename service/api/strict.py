"""Strict JSON: what is let in is what every later reader understands in the same way.

orjson refuses NaN, Infinity, overflowing numbers, byte order marks, invalid UTF-8, lone surrogates and trailing text.
Refused besides (RFC 7493, I-JSON): duplicate names, NUL, numbers beyond ±(2^53 - 1), nesting deeper than 32.
Ordinary bodies are settled by four searches in the text; only what looks odd is walked through.
"""

import json
import re
from typing import Any

import orjson

from service.wire.texts import DEEPEST, json_fault

ODD = re.compile(rb"\\u0000|\\u003[aA]|[0-9]{16}|[0-9][eE]")
"""NUL, an escaped colon (it spoils the counting of names), and numbers that could be too large."""


class MalformedError(ValueError):
    """A text that is not JSON as it is wanted here; the message is one plain sentence without any of the input."""


def parse(raw: bytes) -> Any:
    """The data of a JSON text. Raises :class:`MalformedError`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"not valid JSON: line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise MalformedError(f"nested deeper than {DEEPEST} levels") from None
    odd = ODD.search(raw) is not None
    if (odd or raw.count(b"{") + raw.count(b"[") > DEEPEST) and (fault := json_fault(value)):
        raise MalformedError(fault)
    if raw.count(b":") > 1 and _repeats(raw, value, odd=odd):
        raise MalformedError("an object has the same name twice")
    return value


def _repeats(raw: bytes, value: Any, *, odd: bool) -> bool:
    """Whether an object names a member twice: written again without the lost one, such a text has fewer colons.

    That holds as long as no colon is written as an escape; then every name is looked at.
    """
    if odd:
        try:
            json.loads(raw, object_pairs_hook=_unique)
        except MalformedError:
            return True
        return False
    return raw.count(b":") != orjson.dumps(value).count(b":")


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise MalformedError
