"""What other replicas must be woken for, collected for a few milliseconds."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import orjson

from service.live.hub import user_hash
from service.store.wakeups import LONGEST
from service.wire.feed import Told

MOST_CALLS = 5_000
MOST_PEOPLE = 5_000
"""What is kept while nobody can be woken; beyond that the others' poll finds it."""
AT_ONCE = 120
"""Users in one payload, each with some fifty bytes: below what PostgreSQL carries."""
LONGEST_LANE = 150
MOST_LANES = LONGEST // LONGEST_LANE - 2
"""In one payload. What is beyond either is found by whoever sends alerts: that looks twice a second."""


class Wakes:
    """Calls and users that changed, replicas with mail and lanes of alerts with something due, each once."""

    def __init__(self, replica_id: UUID) -> None:
        self.replica_id = replica_id
        self._calls: dict[str, list[Any]] = {}
        self._replicas: dict[str, None] = {}
        self._people: dict[str, int] = {}
        self._lanes: dict[str, None] = {}
        self._rooms = False
        self._some = asyncio.Event()

    def call(self, told: Told) -> None:
        """A call changed: its version, its `seq` and whom it concerns."""
        call = told.call
        if len(self._calls) < MOST_CALLS:
            hashes = [user_hash(call.app_id, leg.user_id) for leg in call.legs]
            self._calls[call.id] = [UUID(call.id).hex, call.version + 1, call.seq, hashes]
        self._some.set()

    def person(self, stream: UUID, seq: int) -> None:
        """A user's presence changed: the user's stream and how far it has come."""
        if len(self._people) < MOST_PEOPLE:
            self._people[stream.hex] = seq
        self._some.set()

    def mail(self, replica_id: UUID) -> None:
        """A message waits for that replica."""
        self._replicas[replica_id.hex] = None
        self._some.set()

    def due(self, lanes: Iterable[str]) -> None:
        """These lanes of alerts have something due, and nobody here sends alerts."""
        for lane in lanes:
            if len(self._lanes) < MOST_LANES and len(lane.encode()) <= LONGEST_LANE:
                self._lanes[lane] = None
                self._some.set()

    def rooms(self) -> None:
        """A call wants a media worker, and this replica has none."""
        self._rooms = True
        self._some.set()

    async def some(self) -> None:
        """Wait until there is something."""
        await self._some.wait()

    def take(self) -> list[str]:
        """Everything, as payloads; it is yours now."""
        self._some.clear()
        calls, self._calls = self._calls, {}
        replicas, self._replicas = self._replicas, {}
        people, self._people = self._people, {}
        lanes, self._lanes = self._lanes, {}
        rooms, self._rooms = self._rooms, False
        payloads = list(self._payloads(list(calls.values()), list(replicas)))
        pairs = [[stream, seq] for stream, seq in people.items()]
        payloads += [self._payload([], [], people=pairs[n : n + AT_ONCE]) for n in range(0, len(pairs), AT_ONCE)]
        if lanes:
            payloads.append(self._payload([], [], lanes=list(lanes)))
        return [*payloads, self._payload([], [], rooms=True)] if rooms else payloads

    def here(self) -> str:
        """The payload that says no more than that this replica is here."""
        return self._payload([], [])

    def _payloads(self, calls: list[list[Any]], replicas: list[str]) -> Iterator[str]:
        """As many as it takes: each stays below what PostgreSQL carries."""
        if calls or replicas:
            payload = self._payload(calls, replicas)
            if len(payload) <= LONGEST or len(calls) + len(replicas) < 2:
                yield payload
            else:
                middle, half = (len(calls) + 1) // 2, (len(replicas) + 1) // 2
                yield from self._payloads(calls[:middle], replicas[:half])
                yield from self._payloads(calls[middle:], replicas[half:])

    def _payload(self, calls: list[list[Any]], replicas: list[str], **more: Any) -> str:
        return orjson.dumps({"from": self.replica_id.hex, "calls": calls, "mail": replicas, **more}).decode()
