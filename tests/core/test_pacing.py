"""How a receiver that has too much to do is let breathe, and gets more again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.pacing import FIRST_AT_ONCE, Pace, faster, is_too_much, rest_until, slower

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def test_it_begins_with_few_and_grows_by_one():
    pace = Pace()
    for at_once in (FIRST_AT_ONCE + 1, FIRST_AT_ONCE + 2, FIRST_AT_ONCE + 2):
        pace = faster(pace, FIRST_AT_ONCE + 2)
        assert pace.at_once == at_once


def test_it_is_halved_down_to_one():
    pace, seen = Pace(16), []
    for number in range(6):
        pace = slower(pace, later(number), later(number + 0.5))
        seen.append(pace.at_once)
    assert seen == [8, 4, 2, 1, 1, 1]
    assert pace.strikes == 6


def test_answers_to_what_was_under_way_together_are_one_strike():
    pace = slower(Pace(16), NOW, later(1))
    assert slower(pace, later(0.2), later(1.1)) == pace
    assert slower(pace, later(1), later(1.2)) == pace
    assert slower(pace, later(1.1), later(2)) == Pace(4, 2, later(2))


def test_a_success_forgets_the_strikes_but_not_when_the_last_one_was():
    pace = slower(Pace(16), NOW, later(1))
    assert faster(pace, 16) == Pace(9, 0, later(1))


@pytest.mark.parametrize(
    ("strikes", "asked", "rest"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 4), (7, 0, 60), (500, 0, 60), (1, 30, 30), (7, 30, 60), (1, 1e9, 86_400), (0, 0, 1)],
)
def test_it_rests_as_long_as_it_asks_and_longer_each_time(strikes, asked, rest):
    assert rest_until(Pace(strikes=strikes), NOW, asked) == later(rest)


@pytest.mark.parametrize(
    ("status", "asked", "too_much"),
    [
        (429, 0, True),
        (502, 0, True),
        (504, 0, True),
        (503, 0, False),
        (503, 5, True),
        (500, 0, False),
        (None, 0, False),
    ],
)
def test_what_asks_for_a_rest(status, asked, too_much):
    assert is_too_much(status, asked) is too_much


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 32))
def test_there_is_always_one_and_never_more_than_the_most(successes, most):
    pace = Pace(min(FIRST_AT_ONCE, most))
    for number, success in enumerate(successes):
        pace = faster(pace, most) if success else slower(pace, later(number), later(number))
        assert 1 <= pace.at_once <= most
        assert rest_until(pace, NOW, 0) <= later(60)
