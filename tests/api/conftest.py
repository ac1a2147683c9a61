"""A front door over a fresh database."""

import pytest

from tests.api.front import front_door, neighbour


@pytest.fixture
async def front(database):
    async with front_door(database) as front:
        yield front


@pytest.fixture
async def other(front):
    """Another app, to which nothing of the first belongs."""
    async with neighbour(front) as other:
        yield other
