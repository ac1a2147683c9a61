"""The bus between replicas: wake-ups by NOTIFY, and a poll that would be enough alone.

After its commits a process says which calls changed and whom they concern, a few milliseconds' worth at a time. Whoever
has one of those users connected reads the call and its events from the database. What is not heard (a broken LISTEN,
a replica that died between commit and NOTIFY) is found by the poll, which follows the transactions' own order.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import orjson

from service.live.hub import Hub
from service.live.relay import Relay
from service.live.session import REVOKED
from service.live.sightings import Sightings
from service.live.wakes import Wakes
from service.store import hearing
from service.store.connections import other_replicas, revoked_connections
from service.store.database import Database
from service.store.wakeups import Wakeups, listening
from service.wire.feed import Envelope, Told

FAR_AHEAD = 2**63 - 1
LOOK_FOR_REVOKED = 5
"""Every so many polls: whose tokens were revoked, and nobody said good-bye."""


@dataclass(slots=True, frozen=True)
class BusConfig:
    """Seconds. `poll_s`: how late a lost wake-up is made up for. `coalesce_s`: how long wake-ups are collected.

    `still_here_s`: how often something is said at the least, so that a connection that is dead is found out.
    """

    poll_s: float = 3.0
    coalesce_s: float = 0.003
    still_here_s: float = 15.0


@dataclass(slots=True, frozen=True)
class Calling:
    """What is called when another replica speaks.

    `look`: it has a call that wants a media worker. `due`: it has put something into these lanes of alerts; without it
    there is nobody here who sends alerts, and others are told. `newer`: it has made this version of a call.
    """

    look: Callable[[], None] = lambda: None
    due: Callable[[Sequence[str]], None] | None = None
    newer: Callable[[UUID, int], None] = lambda _call_id, _version: None


class Bus:
    """One replica's ear and mouth. `told` is a listener of the switchboard; run `listen` and `poll` as tasks."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        relay: Relay,
        wakes: Wakes,
        config: BusConfig,
        sightings: Sightings,
        calling: Calling,
    ) -> None:
        self._calling = calling
        self._database = database
        self._hub = hub
        self._relay = relay
        self._wakes = wakes
        self._config = config
        self._sightings = sightings
        self._alone = True
        self._horizon = FAR_AHEAD
        self._accounted: dict[UUID, int] = {}
        self._recent: dict[UUID, int] = {}
        self._rounds = 0
        self._polling = asyncio.Lock()

    @property
    def alone(self) -> bool:
        """Whether no other replica is known of."""
        return self._alone

    def told(self, batch: Sequence[Told]) -> None:
        """The switchboard's listener: note what other replicas must hear of."""
        for told in batch:
            if told.envelopes:
                self._recent[told.envelopes[-1].stream] = told.envelopes[-1].seq
            if not self._alone:
                self._wakes.call(told)
                if self._calling.due is None:
                    self._wakes.due(told.lanes)

    def presence_told(self, envelopes: Iterable[Envelope]) -> None:
        """This process has told of users' presence: note what other replicas must hear of."""
        for envelope in envelopes:
            self._recent[envelope.stream] = envelope.seq
            if not self._alone:
                self._wakes.person(envelope.stream, envelope.seq)

    async def listen(self) -> None:
        """Say and hear wake-ups until the connection breaks. Raises `StoreUnavailableError`."""
        async with listening(self._database.config, self._heard) as wakeups:
            await wakeups.say(self._wakes.here())
            await self.poll_once()  # for what was said while nobody listened
            tasks = [asyncio.create_task(run) for run in (self._say(wakeups), wakeups.broken())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
                for task in tasks:
                    task.cancel()

    async def poll(self) -> None:
        """Look every `poll_s` seconds. Raises `StoreUnavailableError`."""
        while True:
            await self.poll_once()
            await asyncio.sleep(self._config.poll_s)

    async def poll_once(self) -> None:
        """Find whatever no wake-up has told of. Raises `StoreUnavailableError`."""
        async with self._polling:
            await self._poll()
        self._relay.arrived.set()

    async def _poll(self) -> None:
        self._accounted |= self._recent
        self._recent = {}
        ringing = self._hub.ringing()
        async with self._database.hot() as driver:
            self._alone = await other_replicas(driver, self._wakes.replica_id) == 0
            horizon, streams = await hearing.news(driver, self._horizon)
            versions = await hearing.versions(driver, ringing) if ringing else {}
            look = self._rounds % LOOK_FOR_REVOKED == 0 and self._hub.anybody
            revoked = await revoked_connections(driver, self._wakes.replica_id) if look else []
        for stream, seq in streams.items():
            heard_of = max(self._accounted.get(stream, 0), self._recent.get(stream, 0))
            if heard_of < seq and self._hub.anybody:
                self._hub.wanted.add(stream, seq=seq)
                self._sightings.heard_of(stream, seq)
        for call_id, version in versions.items():
            if self._hub.behind(str(call_id), version) is not None:
                self._hub.wanted.add(call_id, version)
        for connection_id in revoked:
            if session := self._hub.session(connection_id):
                session.close(REVOKED, "token_revoked")
        # The next look sees these streams again, and those that were told of since; no others.
        self._accounted, self._horizon = streams, horizon
        self._rounds += 1
        self._hub.sweep()

    async def _say(self, wakeups: Wakeups) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wakes.some(), self._config.still_here_s)
            await asyncio.sleep(self._config.coalesce_s)
            for payload in self._wakes.take() or [self._wakes.here()]:
                await wakeups.say(payload)

    def _heard(self, payload: str) -> None:
        """A wake-up came: note what is worth reading."""
        said = orjson.loads(payload)
        if said["from"] == self._wakes.replica_id.hex:
            return
        self._alone = False
        for call_hex, version, seq, hashes in said["calls"]:
            call_id = UUID(call_hex)
            self._recent[call_id] = max(seq, self._recent.get(call_id, 0))
            self._calling.newer(call_id, version)
            if self._hub.concerned(hashes):
                self._hub.wanted.add(call_id, version, seq)
        for stream_hex, seq in said.get("people", ()):
            stream = UUID(stream_hex)
            self._recent[stream] = max(seq, self._recent.get(stream, 0))
            self._sightings.heard_of(stream, seq)
        if self._wakes.replica_id.hex in said["mail"]:
            self._relay.arrived.set()
        if self._calling.due and (lanes := said.get("lanes")):
            self._calling.due(lanes)
        if said.get("rooms"):
            self._calling.look()
