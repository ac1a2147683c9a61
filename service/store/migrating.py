"""Bringing a database to this version's tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from service.store.database import faults, sqlalchemy_url

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK = 0x686F6F6B
"""The advisory lock of everybody who migrates this database ("hook")."""


async def migrate(url: str) -> None:
    """Apply what is missing, in one transaction; replicas that start at once wait for each other.

    Raises `StoreUnavailableError` when PostgreSQL is away, alembic's `CommandError` when the database was made by a
    newer version.
    """
    engine = create_async_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
    try:
        with faults():
            async with engine.begin() as connection:
                # Of the transaction, not of the session: holds behind a pooler, too.
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, "head")
