"""A desk over a fresh database."""

import pytest

from tests.switchboard.desk import Desk


@pytest.fixture
async def desk(database):
    return await Desk(database).open()
