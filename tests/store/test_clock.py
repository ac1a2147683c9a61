"""Only the database's time counts, whatever the clock of this process says (scenario 58)."""

import time
from datetime import UTC, datetime

import pytest

from service.store.clock import DatabaseClock


async def test_58_a_process_whose_clock_is_wrong_tells_the_databases_time(database):
    clock = DatabaseClock(database, lambda: time.time() - 3_600)
    await clock.run_once()
    async with database.hot() as driver:
        told = await driver.fetchval("SELECT clock_timestamp()")
    assert abs((clock.utc() - told).total_seconds()) < 1
    assert clock.ahead_s == pytest.approx(3_600, abs=1)


def test_before_the_first_look_it_is_the_processs_own():
    clock = DatabaseClock(None, lambda: 0.0)
    assert clock.utc() == datetime(1970, 1, 1, tzinfo=UTC)
