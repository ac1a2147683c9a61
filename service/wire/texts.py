"""Texts from outside: one shared set of types, so that nothing the database or a client chokes on gets in.

Refused everywhere: NUL and lone surrogates (PostgreSQL and UTF-8 cannot carry them). Refused in identifiers, names and
every other one-line text: control characters and line separators.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""No control characters (C0, DEL, C1) and no line separators."""
NO_NUL = r"^[^\x00]*$"

LONGEST_ID = 128
LONGEST_NAME = 200
LONGEST_MESSAGE = 1_000
LONGEST_CUSTOM = 8 * 1_024
LONGEST_SIGNAL = 8 * 1_024
LONGEST_TOKEN_DATA = 1_024
DEEPEST = 32
TOO_LARGE = "payload_too_large"
"""The type of that fault among pydantic's."""
SAFE_INTEGER = 2**53 - 1

UserId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=ONE_LINE)]
DeviceId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=ONE_LINE)]
Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME, pattern=ONE_LINE)]
Line = Annotated[str, StringConstraints(max_length=2_048, pattern=ONE_LINE)]
"""Any other one-line text: an address, a version, a description."""
Message = Annotated[str, StringConstraints(max_length=LONGEST_MESSAGE, pattern=NO_NUL)]
"""Free text of several lines."""


def json_fault(value: Any, *, deepest: int = DEEPEST) -> str | None:
    """What is wrong with plain JSON data from outside, in one sentence; `None` when nothing is.

    For data that did not come through the strict parser of `api/` (tokens, socket frames): NUL, lone surrogates,
    numbers beyond what every JSON reader keeps exactly, nesting.
    """
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if -SAFE_INTEGER <= value <= SAFE_INTEGER else "a number is beyond ±(2^53 - 1)"
    if deepest <= 0:
        return f"nested deeper than {DEEPEST} levels"
    if isinstance(value, Mapping):
        faults = (json_fault(part, deepest=deepest - 1) for item in value.items() for part in item)
    else:
        faults = (json_fault(item, deepest=deepest - 1) for item in value)
    return next((fault for fault in faults if fault), None)


def _text_fault(value: str) -> str | None:
    if "\x00" in value:
        return "a text contains NUL"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "a text contains a lone surrogate"
    return None


def _sound(value: Any) -> Any:
    if fault := json_fault(value):
        raise ValueError(fault)
    return value


def too_large(limit: int, unit: str) -> PydanticCustomError:
    """What a validator raises for content beyond its size: 413 and not 422."""
    return PydanticCustomError(TOO_LARGE, "is larger than {limit} {unit}", {"limit": limit, "unit": unit})


def _no_larger(limit: int) -> AfterValidator:
    def check(value: Any) -> Any:
        if value and len(orjson.dumps(value)) > limit:
            raise too_large(limit, "bytes of JSON")
        return value

    return AfterValidator(check)


Custom = Annotated[dict[str, Any], AfterValidator(_sound), _no_larger(LONGEST_CUSTOM)]
"""The caller's own data of a call, passed on untouched."""
SignalData = Annotated[Any, AfterValidator(_sound), _no_larger(LONGEST_SIGNAL)]
TokenData = Annotated[dict[str, Any], AfterValidator(_sound), _no_larger(LONGEST_TOKEN_DATA)]
