"""A front door whose media worker says what the test wants it to."""

import pytest

from tests.api.whip.encoders import Worker, door_with


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
async def front(database, worker):
    async with door_with(worker, database) as front:
        yield front
