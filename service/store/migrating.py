"""Bringing a database to this version's tables."""

from pathlib import Path

from sqlalchemy import Connection, inspect, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from service.store.database import faults, sqlalchemy_url

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK = 0x686F6F6B
"""The advisory lock of everybody who migrates this database ("hook")."""


class NewerSchemaError(Exception):
    """The database was made by a newer version of this service."""


async def migrate(url: str) -> None:
    """Apply what is missing, in one transaction; replicas that start at once wait for each other.

    Raises `StoreUnavailableError` when PostgreSQL is away, :class:`NewerSchemaError`.
    """
    engine = create_async_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
    try:
        with faults():
            async with engine.begin() as connection:
                # Of the transaction, not of the session: holds behind a pooler, too.
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
                if await connection.run_sync(_version) != newest():
                    await connection.run_sync(_upgrade)
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
