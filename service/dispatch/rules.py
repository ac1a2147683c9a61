"""Rules at work: what an event means by an app's rules becomes alerts, which the pump sends like all others.

A seed lies in the database for each event and rule whose types have it, since the turn was written. Here it is decided
whether the rule is meant, who is told and in which words; the seed goes, and alerts come, in one transaction that
speaks with nobody. A rule that was changed or switched off meanwhile counts as it is now.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid5

import orjson

from service.core.rules import Happening, Match, Receiver, Rule, RuleChannel, asked, receivers, without_twins
from service.core.templates import values
from service.store import ruled as store
from service.store.claims import Person
from service.store.database import Database
from service.store.lanes import channel_of
from service.store.ruled import Seed, Telling, User
from service.store.rules import rule_body
from service.telemetry.logs import logger
from service.wire.feed import Told
from service.wire.happenings import happening_of, told_beside, words_of
from service.wire.rules import rule_of

RULE = "rule"


@dataclass(slots=True, frozen=True)
class RulesConfig:
    """`most` seeds of each of `apps` apps are looked at in one transaction; `poll_s` seconds pass between looks."""

    most: int = 50
    apps: int = 10
    poll_s: float = 0.5


@dataclass(slots=True, frozen=True)
class _Meant:
    """A seed whose rule is meant, and whom it tells."""

    seed: Seed
    rule: Rule
    happening: Happening
    receivers: tuple[Receiver, ...]


class RuleExpander:
    """One process's. `wake` is a listener of the switchboard; `run` is a task; `heard` is told of lanes with alerts."""

    def __init__(
        self, database: Database, heard: Callable[[Sequence[str]], None], config: RulesConfig | None = None
    ) -> None:
        self._database = database
        self._heard = heard
        self._config = config or RulesConfig()
        self._log = logger("rules")
        self._bell = asyncio.Event()

    def wake(self, told: Sequence[Told]) -> None:
        """Some of these turns may mean something by a rule."""
        for turn in told:
            self.look_after(turn.lanes)

    def look_after(self, lanes: Sequence[str]) -> None:
        """These lanes have something due."""
        if any(channel_of(lane) == RULE for lane in lanes):
            self._bell.set()

    async def run(self) -> None:
        """Work until cancelled. Raises `StoreUnavailableError`; nothing is lost by that."""
        while True:
            await self.run_once()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.poll_s):
                    await self._bell.wait()

    async def run_once(self) -> int:
        """Work off all that lies there; returns how many seeds that were."""
        self._bell.clear()
        done = 0
        while found := await self._round():
            done += found
        return done

    async def _round(self) -> int:
        """Some seeds of every app that has any."""
        done = 0
        async with self._database.hot() as driver:
            lanes = await store.waiting(driver)
        for start in range(0, len(lanes), self._config.apps):
            done += await self._batch(lanes[start : start + self._config.apps])
        return done

    async def _batch(self, lanes: Sequence[str]) -> int:
        async with self._database.hot() as driver, driver.transaction():
            seeds = await store.take_seeds(driver, lanes, self._config.most)
            if not seeds:
                return 0
            meant = [found for seed in seeds if (found := self._meant(seed))]
            known = await store.people(driver, _concerned(meant)) if meant else {}
            tellings = [telling for one in meant for telling in self._told(one, known)]
            woken = await store.spread(driver, seeds, tellings)
        if woken:
            self._heard(woken)
        return len(seeds)

    def _meant(self, seed: Seed) -> _Meant | None:
        """A seed that leads to something. One that cannot be understood is left out, so that it holds up no other."""
        if seed.event is None:
            return None
        try:
            rule = rule_of(rule_body(seed.rule.name, seed.rule.enabled, seed.rule.body))
            happening = happening_of(orjson.loads(seed.event))
            match = asked(rule, happening)
        except Exception:  # noqa: BLE001 - a bug met by one seed must not be met by it for ever
            self._log.exception("a rule could not be asked", rule_id=str(seed.rule_id), app_id=seed.app_id)
            return None
        return _Meant(seed, rule, happening, receivers(rule, happening, match)) if isinstance(match, Match) else None

    def _told(self, one: _Meant, known: dict[User, Person]) -> list[Telling]:
        try:
            return _tellings(one, known)
        except Exception:  # noqa: BLE001 - as above
            self._log.exception("a rule could not be told", rule_id=str(one.seed.rule_id), app_id=one.seed.app_id)
            return []


def _concerned(meant: Sequence[_Meant]) -> list[User]:
    """Whose names and addresses are needed."""
    return [
        (one.seed.app_id, user_id)
        for one in meant
        for user_id in (
            one.happening.user_id,
            one.happening.initiator,
            *(receiver.user_id for receiver in one.receivers),
        )
        if user_id is not None
    ]


def _tellings(one: _Meant, known: dict[User, Person]) -> list[Telling]:
    seed, channel = one.seed, one.rule.channel
    people = {user_id: person for (app_id, user_id), person in known.items() if app_id == seed.app_id}
    names = {user_id: person.name for user_id, person in people.items()}
    addresses = {
        user_id: person.email if channel is RuleChannel.EMAIL else person.phone for user_id, person in people.items()
    }
    made = []
    for receiver in without_twins(one.receivers, addresses):
        filled = values(one.happening, receiver, names)
        title, body = words_of(one.rule, filled)
        facts = {
            "title": title,
            "body": body,
            "payload": told_beside(one.happening, str(seed.rule_id), filled),
            "email": receiver.email,
            "phone": receiver.phone,
        }
        made.append(
            Telling(
                id=uuid5(seed.rule_id, f"{seed.stream} {seed.seq} {receiver.key}"),
                seed=seed,
                user_id=receiver.user_id or "",
                channel=None if channel is RuleChannel.PUSH else channel.value,
                facts=facts,
            )
        )
    return made
