"""Explaining rules: what they would do now about one event, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from service.core.rules import (
    Happening,
    Match,
    Miss,
    Receiver,
    Rule,
    RuleChannel,
    asked,
    receivers,
    without_twins,
)
from service.core.templates import values
from service.store import rules as store
from service.store.claims import Person
from service.store.credentials import list_credentials
from service.store.database import Database
from service.store.ruled import Reach, people, reached, told_event
from service.wire.apprise import PHONE
from service.wire.credentials import CredentialsView
from service.wire.devices import ONLY_RINGS
from service.wire.explanations import (
    ExplainBody,
    ExplainedEvent,
    ExplainedReceiver,
    ExplainedRule,
    Explanation,
)
from service.wire.happenings import happening_of, words_of
from service.wire.rules import RuleView, rule_of
from service.wire.sealing import Vault

PRODUCTION = "production"


@dataclass(slots=True, frozen=True)
class _Known:
    """What there is to reach people by."""

    people: Mapping[str, Person]
    devices: Sequence[Reach]
    credentials: Mapping[tuple[str, str], CredentialsView]

    def without(self, channel: str, environment: str) -> str | None:
        """What is missing to send by that channel."""
        found = self.credentials.get((channel, environment))
        if found is None:
            return f"the app has no credentials for {channel} ({environment})"
        if found.works is False:
            return f"the credentials for {channel} ({environment}) were refused: {found.problem}"
        return None

    def wants_number(self) -> bool:
        """Whether messages go by apprise to a number."""
        found = self.credentials.get((RuleChannel.MESSAGE, PRODUCTION))
        return found is not None and PHONE in found.about.get("apprise_url", "")

    def addresses(self, channel: RuleChannel) -> dict[str, str | None]:
        """Where the users are reached, by their ids."""
        by_mail = channel is RuleChannel.EMAIL
        return {user_id: person.email if by_mail else person.phone for user_id, person in self.people.items()}


@dataclass(slots=True, frozen=True)
class _Asked:
    """A rule and what it says to the event."""

    view: RuleView
    rule: Rule
    happening: Happening
    said: Match | Miss
    receivers: tuple[Receiver, ...]

    def explained(self, known: _Known) -> ExplainedRule:
        return ExplainedRule(
            rule_id=self.view.id,
            name=self.view.name,
            matched=isinstance(self.said, Match),
            why=self.said.why,
            receivers=list(self._told(known)),
        )

    def _told(self, known: _Known) -> Iterator[ExplainedReceiver]:
        names = {user_id: person.name for user_id, person in known.people.items()}
        for receiver in without_twins(self.receivers, known.addresses(self.rule.channel)):
            title, body = words_of(self.rule, values(self.happening, receiver, names))
            for way in _ways(self.rule.channel, receiver, known):
                yield ExplainedReceiver(
                    user_id=receiver.user_id,
                    device_id=way.device_id,
                    channel=way.channel,
                    address=way.address,
                    ready=way.missing is None,
                    why=way.missing or way.told,
                    title=title,
                    body=body,
                )


@dataclass(slots=True, frozen=True)
class _Way:
    """One way to one receiver; `missing` is what is in it."""

    channel: str
    missing: str | None
    told: str
    address: str | None = None
    device_id: str | None = None


def _ways(channel: RuleChannel, receiver: Receiver, known: _Known) -> list[_Way]:
    if channel is RuleChannel.PUSH:
        devices = [device for device in known.devices if device.user_id == receiver.user_id]
        return [_to_device(device, known) for device in devices] or [
            _Way("push", "the user has no device that can be woken", "")
        ]
    person = known.people.get(receiver.user_id or "")
    missing = known.without(channel, PRODUCTION)
    if channel is RuleChannel.EMAIL:
        address = receiver.email or (person.email if person else None)
        missing = missing if address else "the user has no e-mail address"
        return [_Way(channel, missing, "by mail", address)]
    address = receiver.phone or (person.phone if person else None)
    if address is None and known.wants_number():
        missing = missing or "the user has no number, and the apprise URL wants one"
    told = "by message" if address else "the user has no number: the gateway is told who it is"
    return [_Way(channel, missing, told, address)]


def _to_device(device: Reach, known: _Known) -> _Way:
    missing = ONLY_RINGS if device.rings_only else known.without(device.provider, device.environment)
    return _Way(device.provider, missing, "by push", device_id=device.device_id)


async def explain(
    database: Database, vault: Vault | None, app_id: str, body: ExplainBody, now: str
) -> Explanation | None:
    """What the app's rules would do; `None` when that event was never told, or has been forgotten."""
    happening = body.happening(now)
    if body.call_id is not None and body.seq is not None:
        async with database.hot() as driver:
            text = await told_event(driver, app_id, body.call_id, body.seq)
        if text is None:
            return None
        happening = happening_of(orjson.loads(text))
    async with database.begin() as connection:
        kept = await store.list_rules(connection, app_id, None, store.MOST_RULES)
        credentials = await list_credentials(connection, app_id, vault)
    found = [_ask(view, happening) for view in kept]
    users = {receiver.user_id for one in found for receiver in one.receivers if receiver.user_id is not None}
    named = users | {user for user in (happening.user_id, happening.initiator) if user is not None}
    async with database.hot() as driver:
        directory = await people(driver, [(app_id, user_id) for user_id in named])
        devices = await reached(driver, app_id, list(users))
    known = _Known(
        {user_id: person for (_, user_id), person in directory.items()},
        devices,
        {(str(view.channel), view.environment): view for view in credentials},
    )
    return Explanation(
        event=ExplainedEvent(
            type=happening.type,
            call_id=str(body.call_id) if body.call_id else None,
            seq=body.seq,
            user_id=happening.user_id,
            end_reason=happening.end_reason,
        ),
        rules=[one.explained(known) for one in found],
    )


def _ask(view: RuleView, happening: Happening) -> _Asked:
    rule = rule_of(view)
    said = asked(rule, happening)
    told = receivers(rule, happening, said) if isinstance(said, Match) else ()
    return _Asked(view, rule, happening, said, told)
