"""The bare limit for timers: a table of deadlines, one statement that settles what is due, nothing else."""

import asyncio
from datetime import timedelta

import asyncpg

PREPARE = """
DROP TABLE IF EXISTS bare_deadlines;
CREATE TABLE bare_deadlines (id bigint PRIMARY KEY, deadline_at timestamptz, due_at timestamptz, done_at timestamptz);
CREATE INDEX ON bare_deadlines (deadline_at) WHERE deadline_at IS NOT NULL;
"""
NO_SCANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""A limit must not depend on what the planner guesses."""
SETTLE = """
UPDATE bare_deadlines SET deadline_at = NULL, done_at = clock_timestamp() WHERE id IN (
  SELECT id FROM bare_deadlines WHERE deadline_at <= statement_timestamp() ORDER BY deadline_at LIMIT 500
  FOR UPDATE SKIP LOCKED)
"""
NEXT = "SELECT extract(epoch FROM min(deadline_at) - clock_timestamp())::float8 FROM bare_deadlines"
LATE = "SELECT extract(epoch FROM done_at - due_at)::float8 FROM bare_deadlines WHERE done_at IS NOT NULL"


def lateness(postgres, database, offsets, resting):
    """Seconds each deadline was settled late. `offsets` are seconds from the start, `resting` rows wait far beyond."""

    async def run():
        connection = await asyncpg.connect(postgres.url(database), server_settings=NO_SCANS)
        try:
            await connection.execute(PREPARE)
            now = await connection.fetchval("SELECT clock_timestamp()") + timedelta(seconds=1 + resting / 200_000)
            rows = [(n, at := now + timedelta(seconds=offset), at) for n, offset in enumerate(offsets)]
            far = now + timedelta(hours=1)
            rows += [(len(offsets) + n, far, far) for n in range(resting)]
            columns = ("id", "deadline_at", "due_at")
            await connection.copy_records_to_table("bare_deadlines", columns=columns, records=rows)
            await connection.execute("ANALYZE bare_deadlines")
            left = len(offsets)
            while left > 0:
                await asyncio.sleep(max(0.0, min(await connection.fetchval(NEXT), 0.5)))
                left -= int((await connection.execute(SETTLE)).split()[1])
            return [row[0] for row in await connection.fetch(LATE)]
        finally:
            await connection.close()

    return asyncio.run(run())
