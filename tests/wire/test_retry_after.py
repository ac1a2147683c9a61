"""When a server asks to be left alone: seconds, or a date in any of HTTP's three forms (RFC 9110 10.2.3, 5.6.7)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.wire.retry_after import retry_after_s

NOW = datetime(2026, 11, 20, 8, 0, 0, tzinfo=UTC)
IN_TWO_MINUTES = (
    "Fri, 20 Nov 2026 08:02:00 GMT",
    "Friday, 20-Nov-26 08:02:00 GMT",
    "Fri Nov 20 08:02:00 2026",
)


def asked(value, **headers):
    return retry_after_s({"retry-after": value, **headers}, NOW)


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7), ("999999999", 999_999_999)])
def test_seconds(value, seconds):
    assert asked(value) == seconds


@pytest.mark.parametrize("value", IN_TWO_MINUTES)
def test_a_date(value):
    assert asked(value) == 120


def test_a_date_is_read_by_the_clock_of_the_server_that_says_it():
    """Its clock is an hour behind; it asks for two minutes all the same."""
    assert asked("Fri, 20 Nov 2026 07:02:00 GMT", date="Fri, 20 Nov 2026 07:00:00 GMT") == 120


def test_a_date_that_has_passed_asks_for_nothing():
    assert asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_without_any_clock_a_date_is_not_heeded():
    assert retry_after_s({"retry-after": IN_TWO_MINUTES[0]}, None) == 0
    told = {"retry-after": IN_TWO_MINUTES[0], "date": "Fri, 20 Nov 2026 08:01:00 GMT"}
    assert retry_after_s(told, None) == 60


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-1",
        "1e3",
        "1.5",
        "9" * 400,
        "\u0661\u0662",
        "Fri, 99 Nov 2026 08:02:00 GMT",
        "Mon",
        "GMT",
        "x" * 5_000,
    ],
)
def test_what_is_neither_is_not_heeded(value):
    assert asked(value) == 0


def test_nothing_said_nothing_asked():
    assert retry_after_s({}, NOW) == 0


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_that_a_server_says_breaks_it(value, date):
    assert retry_after_s({"retry-after": value, "date": date}, NOW) >= 0
