"""Bringing a database to this version's tables."""

from pathlib import Path

import asyncpg
from sqlalchemy import Connection, inspect, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from service.store.database import faults, sqlalchemy_url

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK = 0x686F6F6B
"""The advisory lock of everybody who migrates this database ("hook")."""


LOCK_WITHIN_S = 5.0
"""Whoever waits for a table makes everybody after it wait, too; so a migration gives up sooner than they do."""


class NewerSchemaError(Exception):
    """The database was made by a newer version of this service."""


class TablesHeldError(Exception):
    """Somebody else holds a table that must be changed."""


async def migrate(url: str, lock_within_s: float = LOCK_WITHIN_S) -> None:
    """Apply what is missing, in one transaction; replicas that start at once wait for each other.

    Raises `StoreUnavailableError` when PostgreSQL is away, :class:`NewerSchemaError`, and :class:`TablesHeldError` when
    a table was not to be had within `lock_within_s`; nothing is changed then.
    """
    engine = create_async_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
    try:
        with faults():
            async with engine.begin() as connection:
                # Of the transaction, not of the session: holds behind a pooler, too.
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
                if await connection.run_sync(_version) != newest():
                    limit = {"limit": f"{lock_within_s * 1000:.0f}ms"}
                    await connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), limit)
                    await connection.run_sync(_upgrade)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        if isinstance(cause, asyncpg.LockNotAvailableError):
            raise TablesHeldError(str(cause)) from error
        raise
    finally:
        await engine.dispose()


def newest() -> str:
    """The revision of this version's tables; the files are numbered in their order."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    # Imported only when there is something to do: a start on an existing database is quicker without.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415 - see above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise NewerSchemaError(str(error)) from error
