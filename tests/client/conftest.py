import pytest

from service.client import Client, LiveSocket


@pytest.fixture
async def backend(running_service):
    async with Client(running_service.base_url, running_service.api_key) as client:
        yield client


@pytest.fixture
def device(running_service):
    """`device("ben", "phone")`: a live socket to be entered."""

    def made(user_id, device_id="phone", token=None, **options):
        token = token or running_service.token(user_id)
        return LiveSocket(running_service.base_url, token, device_id=device_id, platform="ios", **options)

    return made
