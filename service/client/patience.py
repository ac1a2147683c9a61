"""How long to wait for a service that is away before it is asked again."""

from random import uniform

LATER = frozenset({429, 500, 503})
"""Statuses of a refusal that are worth another try."""
BACKOFF_S = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0)


def pause_s(tries: int) -> float:
    """Seconds after so many tries in vain; not the same for all, when it was the service that went away."""
    return BACKOFF_S[min(tries, len(BACKOFF_S) - 1)] * uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
