"""Which kind of answer somebody reads: the `Accept` header (RFC 9110, section 12.5.1)."""

from starlette.requests import Request

from service.api.bodies import header
from service.api.errors import RefusedError
from service.core.refusals import Code


def chosen(request: Request, *kinds: str) -> str:
    """The kind that is wanted most of those there are; of equals the one that is named, then the first.

    Raises `RefusedError` (`not_acceptable`) when none may be sent.
    """
    told = header(request.scope, b"accept")
    if told is None:
        return kinds[0]
    weights = dict(_weight(part) for part in told.decode("latin-1").replace(" ", "").lower().split(","))
    best = max(kinds, key=lambda kind: _wanted(weights, kind))
    if not _wanted(weights, best)[0]:
        raise RefusedError(Code.NOT_ACCEPTABLE, f"the answer is {' or '.join(kinds)}")
    return best


def _weight(part: str) -> tuple[str, float]:
    """A kind, and how much it is wanted: 0 (not at all) to 1. What cannot be read counts as wanted."""
    kind, _, rest = part.partition(";")
    for parameter in rest.split(";"):
        if parameter.startswith("q="):
            try:
                return kind, min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return kind, 1.0
    return kind, 1.0


def _wanted(weights: dict[str, float], kind: str) -> tuple[float, int]:
    """The most exact word about a kind counts, and how exact it is. An empty header wants nothing in particular."""
    for exactness, name in ((3, kind), (2, f"{kind.partition('/')[0]}/*"), (1, "*/*"), (0, "")):
        if name in weights:
            return weights[name], exactness
    return 0.0, 0
