"""What endpoints declare about their "no", for the OpenAPI.

The codes that any endpoint may answer (credentials, limits, bad input, the database being away) are added for all of
them in `schema.py`.
"""

from typing import Any

from pydantic import BaseModel

from service.api.errors import STATUS
from service.core.refusals import Code

CODES = "x-codes"
Responses = dict[int | str, dict[str, Any]]


def refusals(*codes: Code, also: tuple[int, type[BaseModel], str] | None = None) -> Responses:
    """The `responses` of a route that may answer these codes; `also` is a second way to succeed."""
    declared: Responses = {}
    if also:
        status, model, description = also
        declared[status] = {"model": model, "description": description}
    for code in codes:
        declared.setdefault(STATUS[code], {}).setdefault(CODES, []).append(code.value)
    return declared
