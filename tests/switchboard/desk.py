"""A desk to test at: short verbs over a real switchboard and a real database."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.core.calls import Actor
from service.core.commands import Ack, Answer, Cancel, Command, Decline, HangUp, Join
from service.core.settings import AppSettings
from service.core.vocabulary import ActorType, CallType
from service.store.database import Database
from service.store.turns import Idempotency
from service.switchboard.board import Outcome, Switchboard
from service.switchboard.people import DialRequest, Wanted
from service.wire.feed import Told

APP = "app"


def user(user_id: str) -> Actor:
    return Actor(ActorType.USER, user_id)


class Desk:
    """One app's switchboard with what it told; `settings` are the app's."""

    def __init__(self, database: Database, **settings: object) -> None:
        self.database = database
        self.settings = AppSettings(**settings)
        self.told: list[Told] = []
        self.board = Switchboard(database, [self._hear])

    def _hear(self, told: Sequence[Told]) -> None:
        self.told.extend(told)

    async def open(self) -> "Desk":
        async with self.database.hot() as driver:
            await driver.execute("INSERT INTO apps (id, name) VALUES ($1, 'test') ON CONFLICT DO NOTHING", APP)
        return self

    async def dial(
        self, caller: str, *callees: str, key: str | None = None, body: bytes = b"", **how: object
    ) -> Outcome:
        how.setdefault("device_id", f"{caller}-1")
        return await self.board.dial(
            DialRequest(
                APP,
                self.settings,
                user(caller),
                caller,
                tuple(Wanted(callee) for callee in callees),
                idempotency=Idempotency("key", key, body) if key else None,
                **how,
            )
        )

    async def do(self, call: UUID | str, command: Command) -> Outcome:
        return await self.board.do(APP, UUID(str(call)), command, self.settings)

    async def answer(self, call: str, who: str, device: str | None = None) -> Outcome:
        return await self.do(call, Answer(user(who), who, device or f"{who}-1"))

    async def join(self, call: str, who: str, device: str | None = None) -> Outcome:
        return await self.do(call, Join(user(who), who, device or f"{who}-1"))

    async def ack(self, call: str, who: str, device: str | None = None) -> Outcome:
        return await self.do(call, Ack(user(who), who, device or f"{who}-1"))

    async def decline(self, call: str, who: str) -> Outcome:
        return await self.do(call, Decline(user(who), who, f"{who}-1"))

    async def cancel(self, call: str, who: str) -> Outcome:
        return await self.do(call, Cancel(user(who), who, f"{who}-1"))

    async def hang_up(self, call: str, who: str) -> Outcome:
        return await self.do(call, HangUp(user(who), who, f"{who}-1"))

    async def online(
        self, who: str, device: str | None = None, *, guest: bool = False, only_call: UUID | None = None
    ) -> None:
        """Put a device of the user on a live socket, as far as the database knows."""
        async with self.database.hot() as driver:
            await driver.execute(ONLINE, APP, who, device or f"{who}-1", guest, only_call)

    async def make_overdue(self, call: str, seconds: float) -> None:
        """Shift the whole call into the past, as if the service had been away for so long."""
        async with self.database.hot() as driver:
            row = await driver.fetchrow("SELECT body FROM calls WHERE id = $1", UUID(call))
            await driver.execute(AGE, UUID(call), shifted(row["body"], seconds), seconds)

    async def engaged(self) -> dict[str, str]:
        async with self.database.hot() as driver:
            rows = await driver.fetch("SELECT user_id, call_id::text FROM engagements")
        return {row["user_id"]: row["call_id"] for row in rows}

    async def events(self, call: str) -> list[str]:
        async with self.database.hot() as driver:
            rows = await driver.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY seq", UUID(call))
        return [row["type"] for row in rows]


ONLINE = """
WITH replica AS (
  INSERT INTO replicas (id, lease_until) VALUES (gen_random_uuid(), clock_timestamp() + interval '1 hour') RETURNING id
)
INSERT INTO connections (id, app_id, user_id, device_id, platform, replica_id, guest, only_call)
SELECT gen_random_uuid(), $1, $2, $3, 'web', id, $4, $5 FROM replica
"""

AGE = """
UPDATE calls SET version = version + 1, body = $2, deadline_at = deadline_at - make_interval(secs => $3::float8)
WHERE id = $1
"""


def shifted(body: str, seconds: float) -> str:
    """Every time in a stored call moved back."""

    def earlier(match: re.Match[str]) -> str:
        at = datetime.fromisoformat(match[1]) - timedelta(seconds=seconds)
        return f'"{at.isoformat().replace("+00:00", "Z")}"'

    return re.sub(r'"(\d{4}-\d\d-\d\dT[0-9:.]+Z)"', earlier, body)


AUDIO = CallType.AUDIO_UPGRADABLE
