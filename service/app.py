"""One process of the service, from its settings to the line that says it is ready; and single commands beside it.

What a process is made of is in assembly.py. No other module reads a clock.
"""

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import uvloop

from service.assembly import Clocks, Place, Service, channels
from service.config import Role, Settings, SettingsError
from service.core.calls import SERVER
from service.dispatch.checkup import examine_credentials, notes
from service.media.checkup import examine_media
from service.media.turn import examine_turn
from service.store.apps import FRESH_S, AppBook, list_apps, suspend_app
from service.store.checkup import Finding, examine
from service.store.credentials import every_credential
from service.store.database import Database, StoreUnavailableError
from service.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
from service.store.secret_key import SecretKeyError, own_key
from service.store.starting import UnusableDatabaseError, migrate_in_words, prepare
from service.switchboard.board import Switchboard
from service.switchboard.departures import suspend
from service.telemetry.logs import set_up_logs
from service.wire.sealing import Vault
from service.wire.tokens import TokenKey, UserClaims, mint_user

T = TypeVar("T")

LEAST_FREE_GIB = 0.5


class PortTakenError(Exception):
    """Somebody else listens there."""


FORESEEN = (
    SettingsError,
    EmbeddedPostgresError,
    UnusableDatabaseError,
    StoreUnavailableError,
    SecretKeyError,
    PortTakenError,
)
"""Faults of the surroundings; their messages are sentences for the operator."""


@contextmanager
def database_place(settings: Settings, say: Callable[[str], None] = lambda _sentence: None) -> Iterator[Place]:
    """The address in the settings, or that of an embedded server, which runs meanwhile."""
    if settings.database_url:
        yield Place(settings.database_url.get_secret_value())
        return
    embedded = EmbeddedPostgres(settings.embedded())
    say(f"starting an embedded PostgreSQL in {settings.embedded().folder} (HOOKSWITCH_DATABASE_URL is not set)")
    embedded.start()
    try:
        yield Place(embedded.url(), embedded, own_key(settings.data_dir, make=not settings.secret_keys))
    finally:
        embedded.stop()


def open_listener(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. Raises :class:`PortTakenError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror}"
        raise PortTakenError(message) from error
    return listener


@asynccontextmanager
async def running(settings: Settings, place: Place, listener: socket.socket) -> AsyncIterator[tuple[Service, str]]:
    """A whole service inside the running loop, and its base URL. The database must have been prepared."""
    service = Service(settings, place, Clocks(time.time, time.monotonic, time.perf_counter))
    try:
        yield service, await service.start(listener)
    finally:
        await service.stop()


async def serve_until_told(
    settings: Settings, place: Place, listener: socket.socket, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT."""
    await prepare(settings.database(place.url))
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with running(settings, place, listener) as (service, base_url):
        _spare_the_collector()
        ready(base_url)
        waiting = asyncio.create_task(told.wait())
        ending = asyncio.create_task(service.ended())
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending


def _spare_the_collector() -> None:
    """Take what was built at the start out of every garbage collection, and collect seldom.

    Commands leave few cycles behind; looking for them took a tenth of a command's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def serve(settings: Settings, say: Callable[[str], None], ready: Callable[[str], None]) -> None:
    """One process, from start to SIGTERM. `say` tells the operator, `ready` gets the base URL. Raises `FORESEEN`."""
    set_up_logs(settings.logs())
    with (
        open_listener(settings.host, settings.port) as listener,
        database_place(settings, say) as place,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(serve_until_told(settings, place, listener, ready))


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    """A database for a single command, migrated."""
    await migrate_in_words(url)
    database = Database(settings.database(url))
    try:
        yield database
    finally:
        await database.close()


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do one thing with the database, also beside a running service. Raises `FORESEEN`."""
    return with_vault(settings, lambda database, _vault: work(database))


def with_vault(settings: Settings, work: Callable[[Database, Vault | None], Awaitable[T]]) -> T:
    """As :func:`with_database`, with what opens the credentials that are kept there."""

    async def run(place: Place) -> T:
        async with opened(settings, place.url) as database:
            return await work(database, settings.vault(place.own_key))

    set_up_logs(settings.logs())
    with database_place(settings) as place:
        return asyncio.run(run(place))


async def chosen_app(database: Database, app_id: str | None) -> str:
    """That app, or the only one. Raises :class:`SettingsError`."""
    if app_id is not None:
        return app_id
    async with database.begin() as connection:
        known = [app.id for app in await list_apps(connection)]
    if len(known) != 1:
        message = f"say for which app: there are {len(known)}"
        raise SettingsError(message)
    return known[0]


def set_suspended(settings: Settings, app_id: str, *, suspended: bool) -> None:
    """Suspend an app and end its calls (scenario 60), or let it go on. Raises `FORESEEN`."""

    async def work(database: Database) -> bool:
        if not suspended:
            async with database.begin() as connection:
                return await suspend_app(connection, app_id, suspended=False)
        board = Switchboard(database)
        known = await suspend(database, board, app_id, SERVER)
        if known:
            # Running processes remember the app as it was for so long.
            await asyncio.sleep(FRESH_S)
            await suspend(database, board, app_id, SERVER)
        return known

    if not with_database(settings, work):
        message = f"there is no app {app_id}"
        raise SettingsError(message)


def mint_token(settings: Settings, app_id: str | None, claims: UserClaims, ttl_s: int) -> str:
    """A token for a user of that app, or of the only one. Raises `FORESEEN`."""

    async def mint(database: Database) -> str:
        wanted = await chosen_app(database, app_id)
        key = await AppBook(database, time.monotonic).signer(wanted)
        if key is None:
            message = f"there is no app {wanted}"
            raise SettingsError(message)
        return mint_user(TokenKey(key.kid, key.app.id, key.secret), claims, now=time.time(), ttl_s=ttl_s)

    return with_database(settings, mint)


def doctor(settings: Settings) -> list[Finding]:
    """Look at everything the service needs, and say what was found."""

    async def look(database: Database, vault: Vault | None) -> list[Finding]:
        await prepare(database.config)
        config = database.config
        found = await examine(database, time.time, config.pool_size + config.cold_pool_size)
        return found + await _examine_push(settings, database, vault)

    findings = [_data_folder(settings.data_dir)]
    try:
        findings += with_vault(settings, look)
    except FORESEEN as error:
        findings.append(Finding(str(error), fault=True))
    try:
        open_listener(settings.host, settings.port).close()
        findings.append(Finding(f"{settings.host}:{settings.port} is free to listen on"))
    except PortTakenError as error:
        findings.append(Finding(f"{error} (that is fine when the service itself runs there)", note=True))
    findings += asyncio.run(examine_turn(settings.ice(), time.time()))
    workers = settings.media_workers() if Role.MEDIA in settings.roles else None
    return findings + examine_media(workers, off=settings.media == "off", remote=settings.serves_others)


async def _examine_push(settings: Settings, database: Database, vault: Vault | None) -> list[Finding]:
    async with database.begin() as connection:
        kept = await every_credential(connection, vault)
    ways = channels(settings, database, vault)
    try:
        now, private = datetime.fromtimestamp(time.time(), UTC), settings.allow_private_webhooks
        found = await examine_credentials(kept, ways, now, allow_private=private)
    finally:
        for way in ways.values():
            await way.close()
    return found + notes(kept, sealing=vault is not None, public_url=settings.public_url)


def _data_folder(folder: Path) -> Finding:
    if not folder.exists():
        return Finding(f"the data folder {folder} does not exist yet; it is made when needed")
    free = shutil.disk_usage(folder).free / 2**30
    writable = os.access(folder, os.W_OK)
    state = f"{free:.1f} GiB free" if writable else "not writable"
    return Finding(f"the data folder {folder} is there, {state}", fault=not writable or free < LEAST_FREE_GIB)
