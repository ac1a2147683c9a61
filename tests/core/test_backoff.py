from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.backoff import RETRY_AFTER_S, next_attempt
from tests.core.story import NOON

MIDDLE = 0.5


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [
        (1, timedelta(seconds=5)),
        (2, timedelta(minutes=5)),
        (3, timedelta(minutes=30)),
        (4, timedelta(hours=2)),
        (5, timedelta(hours=5)),
        (6, timedelta(hours=10)),
        (7, timedelta(hours=14)),
        (8, timedelta(hours=20)),
        (9, timedelta(hours=24)),
    ],
)
def test_the_schedule_is_the_one_of_the_vocabulary(attempts, wait):
    assert next_attempt(attempts, NOON, MIDDLE) == NOON + wait


def test_after_the_last_retry_there_is_no_other():
    assert next_attempt(10, NOON, MIDDLE) is None
    assert next_attempt(11, NOON, MIDDLE, retry_after_s=1) is None


def test_jitter_is_a_tenth_either_way():
    assert next_attempt(2, NOON, 0.0) == NOON + timedelta(seconds=270)
    assert next_attempt(2, NOON, 0.75) == NOON + timedelta(seconds=315)


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True), st.floats(0, 1e9))
def test_a_wait_is_never_shorter_than_planned_nor_longer_than_a_day_and_a_tenth(attempts, jitter, asked):
    wait = (next_attempt(attempts, NOON, jitter, asked) - NOON).total_seconds()
    assert wait >= RETRY_AFTER_S[attempts - 1] * 0.9 - 1e-6
    assert wait >= min(asked, 86_400) - 1e-6
    assert wait <= 86_400 * 1.1


def test_retry_after_is_a_minimum_only():
    assert next_attempt(1, NOON, MIDDLE, retry_after_s=120) == NOON + timedelta(seconds=120)
    assert next_attempt(2, NOON, MIDDLE, retry_after_s=120) == NOON + timedelta(minutes=5)


def test_retry_after_is_believed_up_to_a_day():
    assert next_attempt(1, NOON, MIDDLE, retry_after_s=10_000_000) == NOON + timedelta(days=1)


@pytest.mark.parametrize("attempts", [0, -1])
def test_a_retry_follows_an_attempt(attempts):
    with pytest.raises(ValueError, match=r"^a retry follows at least one attempt$"):
        next_attempt(attempts, NOON, MIDDLE)
