"""NOTIFY as a wake-up between replicas, on a connection of its own and never inside a command's transaction.

A NOTIFY takes a lock at commit that all of the server's NOTIFYs share, so it must not stand in a command's way
(measured: with it in the statement a fifth of the commands per second remain).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from service.store.database import DatabaseConfig, Driver, StoreUnavailableError, driver_dsn, faults

CHANNEL = "hookswitch"
LONGEST = 7_900
"""Bytes of one payload; PostgreSQL takes less than 8,000."""


class Wakeups:
    """An open LISTEN connection: says and hears wake-ups until it breaks."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._broken = asyncio.Event()
        driver.add_termination_listener(lambda _driver: self._broken.set())

    async def say(self, payload: str) -> None:
        """Wake everybody who listens. Raises `StoreUnavailableError`."""
        with faults():
            await self._driver.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)

    async def broken(self) -> None:
        """Wait until the connection is gone; then raises `StoreUnavailableError`."""
        await self._broken.wait()
        raise StoreUnavailableError("the LISTEN connection broke")


@asynccontextmanager
async def listening(config: DatabaseConfig, heard: Callable[[str], None]) -> AsyncIterator[Wakeups]:
    """Listen for as long as the block runs; `heard` gets each payload and must neither block nor raise.

    Raises `StoreUnavailableError` when PostgreSQL is away.
    """
    with faults():
        driver = await asyncpg.connect(
            driver_dsn(config.listen_url or config.url),
            timeout=config.connect_timeout_s,
            command_timeout=config.command_timeout_s,
            server_settings={"application_name": "hookswitch bus"},
        )
    try:
        with faults():
            await driver.add_listener(CHANNEL, lambda _driver, _pid, _channel, payload: heard(str(payload)))
        yield Wakeups(driver)
    finally:
        driver.terminate()
