"""Before a process serves: is the database there, is it ours, does it hear LISTEN? Every "no" in one plain sentence."""

import asyncio
from secrets import token_hex

import asyncpg
from sqlalchemy.exc import DBAPIError

from service.store.database import DatabaseConfig, StoreUnavailableError, driver_dsn
from service.store.migrating import LOCK_WITHIN_S, NewerSchemaError, TablesHeldError, migrate

HEARD_WITHIN_S = 3.0


class UnusableDatabaseError(Exception):
    """The service cannot start on this database; the message says why, without the password."""


async def prepare(config: DatabaseConfig) -> None:
    """Bring the tables to this version, and see that a wake-up sent through the database is heard.

    Raises :class:`UnusableDatabaseError`.
    """
    await migrate_in_words(config.listen_url or config.url)
    try:
        await _listen_works(config)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise UnusableDatabaseError(_words(error)) from error


async def migrate_in_words(url: str, lock_within_s: float = LOCK_WITHIN_S) -> None:
    """As `migrate`; every fault becomes an :class:`UnusableDatabaseError`."""
    try:
        await migrate(url, lock_within_s)
    except StoreUnavailableError as error:
        raise UnusableDatabaseError(_words(error.__cause__ or error)) from error
    except NewerSchemaError as error:
        message = f"the database was made by a newer version of this service ({error})"
        raise UnusableDatabaseError(message) from error
    except TablesHeldError as error:
        message = (
            "the tables must be changed for this version, and another session holds them, perhaps a process of the old "
            f"version or a backup; start again when it has ended ({error})"
        )
        raise UnusableDatabaseError(message) from error
    except (DBAPIError, asyncpg.PostgresError) as error:
        raise UnusableDatabaseError(_words(error)) from error


async def _listen_works(config: DatabaseConfig) -> None:
    """A pooler in transaction mode swallows notifications; such a database cannot wake anybody."""
    channel = f"hookswitch_probe_{token_hex(8)}"
    heard = asyncio.Event()
    listener = await asyncpg.connect(driver_dsn(config.listen_url or config.url), timeout=config.connect_timeout_s)
    try:
        await listener.add_listener(channel, lambda *_: heard.set())
        speaker = await asyncpg.connect(driver_dsn(config.url), timeout=config.connect_timeout_s)
        try:
            await speaker.execute(f"NOTIFY {channel}")
        finally:
            await speaker.close()
        try:
            await asyncio.wait_for(heard.wait(), HEARD_WITHIN_S)
        except TimeoutError:
            raise UnusableDatabaseError(_no_listen(config)) from None
    finally:
        await listener.close()


def _no_listen(config: DatabaseConfig) -> str:
    if config.listen_url:
        return (
            "a notification sent through HOOKSWITCH_DATABASE_URL is not heard on HOOKSWITCH_LISTEN_DATABASE_URL: "
            "the second must be the same database, without a pooler between"
        )
    return (
        "LISTEN hears nothing on HOOKSWITCH_DATABASE_URL, as behind a pooler in transaction mode: "
        "set HOOKSWITCH_LISTEN_DATABASE_URL to the address of the PostgreSQL server itself"
    )


def _words(error: BaseException) -> str:
    """What went wrong with the connection, for somebody who runs the service."""
    cause = error.orig.__cause__ or error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = str(cause).strip().partition("\n")[0] or type(cause).__name__
    if isinstance(cause, asyncpg.InvalidAuthorizationSpecificationError):
        return f"PostgreSQL does not let us in: {said}"
    if isinstance(cause, asyncpg.InvalidCatalogNameError):
        return f"the database does not exist: {said}"
    if "startup parameter" in said:
        return f"the pooler refuses a setting ({said}): add it to its ignore_startup_parameters"
    if isinstance(cause, asyncpg.InvalidSQLStatementNameError | asyncpg.DuplicatePreparedStatementError):
        return f"the pooler must support prepared statements (PgBouncer 1.21 with max_prepared_statements): {said}"
    if isinstance(cause, OSError | TimeoutError | asyncpg.CannotConnectNowError):
        return f"PostgreSQL does not answer at the address in HOOKSWITCH_DATABASE_URL: {said}"
    return f"PostgreSQL refuses: {said}"
