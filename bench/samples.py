"""Medians, percentiles and ratios of what was measured."""

import math
from dataclasses import dataclass
from statistics import median


def percentile(values, share):
    """The nearest-rank percentile: the smallest value that `share` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, with the lowest and the highest of them."""

    middle: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values):
        values = [value for value in values if value is not None and not math.isnan(value)]
        if not values:
            return cls(math.nan, math.nan, math.nan, 0)
        return cls(median(values), min(values), max(values), len(values))


def ratio(ours, theirs):
    """Ours over theirs; nan when the other figure is missing or zero."""
    if theirs is None or math.isnan(theirs) or theirs == 0:
        return math.nan
    return ours / theirs
