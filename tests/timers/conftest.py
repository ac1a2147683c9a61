"""A switchboard with two people who can call each other, and its timers."""

import pytest

from tests.switchboard.desk import Desk


@pytest.fixture
async def desk(database):
    return await Desk(database).open()
