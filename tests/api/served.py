"""The front door behind a real server on loopback, in a thread with a loop of its own: for clients that block."""

import asyncio
import threading
from contextlib import contextmanager

import uvicorn

from service.app import open_listener
from service.store.database import Database, DatabaseConfig
from tests.api.front import front_door
from tests.fixtures.postgres import fresh_database

START_S = 20


class Served:
    """`base_url`, and `front` for its app's credentials; `run` does something in the server's loop."""

    def __init__(self, server, template):
        self._server, self._template = server, template
        self._ready = threading.Event()
        self._loop = None
        self._stop = None
        self.front = None
        self.port = 0

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_S)

    @contextmanager
    def running(self):
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="served")
        thread.start()
        try:
            assert self._ready.wait(START_S)
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(START_S)

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with fresh_database(self._server, self._template) as url:
            database = Database(DatabaseConfig(url, pool_size=8))
            async with front_door(database, sandbox=True) as self.front:
                await self._answer()
            await database.close()

    async def _answer(self):
        listener = open_listener("127.0.0.1", 0)  # said to be TCP, without which asyncio lets small answers wait
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self.front.app, http="httptools", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        listener.listen()
        self._ready.set()
        await self._stop.wait()
        server.should_exit = True
        await serving
