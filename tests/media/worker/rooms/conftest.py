import asyncio

import aioice.ice
import pytest

from tests.media.worker.rooms.scene import Scene


@pytest.fixture
async def scene(monkeypatch):
    """A room over a real socket, with a ticker; aioice leaves loopback out, and here it is all there is."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    scene = Scene(asyncio.get_running_loop())
    yield scene
    await scene.close()
