"""What `doctor` wants to know of a database."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from service.store.database import Database
from service.store.tables import METADATA

OLDEST = 14
MOST_SKEW_MS = 2000

ABOUT = """
SELECT current_setting('server_version_num')::int / 10000 AS version,
       current_setting('max_connections')::int AS connections,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       (SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY(:tables)) AS tables,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS used
"""


@dataclass(slots=True, frozen=True)
class Finding:
    """One sentence for the operator.

    `fault` is true when the service cannot do its work like this, `note` when it can, with something left out.
    """

    text: str
    fault: bool = False
    note: bool = False

    @property
    def mark(self) -> str:
        """FAULT, note or ok."""
        if self.fault:
            return "FAULT"
        return "note" if self.note else "ok"


async def examine(database: Database, clock: Callable[[], float], wanted_connections: int) -> list[Finding]:
    """Look at a database that answers; `clock` gives seconds since the epoch."""
    async with database.begin() as connection:
        before = clock()
        row = (await connection.execute(text(ABOUT), {"tables": list(METADATA.tables)})).one()
        after = clock()
        live = await connection.scalar(text("SELECT count(*) FROM calls WHERE ended_at IS NULL"))
        overdue = await connection.scalar(
            text("SELECT count(*) FROM calls WHERE deadline_at < clock_timestamp() - interval '5 s'")
        )
    skew_ms = round(1000 * (row.clock - (before + after) / 2))
    missing = len(METADATA.tables) - row.tables
    answers = f"PostgreSQL {row.version} answers in {round(1000 * (after - before), 1)} ms"
    tables = f"{missing} tables are missing" if missing else f"the tables are those of this version ({row.tables})"
    use = f"{row.used} of {row.connections} connections are in use; a process takes up to {wanted_connections}"
    clocks = f"this machine's clock and the database's differ by {abs(skew_ms)} ms"
    return [
        Finding(answers, fault=row.version < OLDEST),
        Finding(tables, fault=missing > 0),
        Finding(use, fault=row.used + wanted_connections > row.connections),
        Finding(clocks, fault=abs(skew_ms) > MOST_SKEW_MS),
        Finding(f"{live} live calls, {overdue} of them overdue by more than 5 s", fault=bool(overdue)),
    ]
