import math

import pytest

from bench.samples import Spread, percentile, ratio


def test_a_percentile_is_one_of_the_values():
    values = list(range(1, 101))
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1) == 100
    assert percentile([7], 0.99) == 7
    assert percentile([3, 1, 2], 0) == 1


def test_nothing_has_no_percentile():
    assert math.isnan(percentile([], 0.5))


def test_the_rounds_give_their_median_and_range():
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)


def test_rounds_without_a_figure_do_not_count():
    assert Spread.of([None, math.nan, 4.0]) == Spread(4.0, 4.0, 4.0, 1)
    assert Spread.of([]).rounds == 0


@pytest.mark.parametrize("theirs", [None, 0, math.nan])
def test_there_is_no_ratio_to_nothing(theirs):
    assert math.isnan(ratio(1.0, theirs))


def test_a_ratio_is_ours_over_theirs():
    assert ratio(1.0, 4.0) == 0.25
