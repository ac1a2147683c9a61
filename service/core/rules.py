"""Rules: on this event, about these users, tell those receivers by that channel, in these words (B-18).

A rule is asked about one thing that happened and says whether it is meant, and for what reason it is or is not. Rules
cannot cause each other: what they send makes no events.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.core.vocabulary import CallType, DeclineReason, EndReason, LegState

EVERYTHING = "*"
CALL_MISSED = "call.missed"
MISSED_LEG = frozenset({LegState.MISSED, LegState.UNREACHABLE, LegState.BUSY, LegState.CANCELED})


class Part(StrEnum):
    """Who somebody is in what happened. `user` is whom the event is about and the rule is for."""

    USER = "user"
    INITIATOR = "initiator"
    CALLEES = "callees"
    MISSED = "missed"
    PARTICIPANTS = "participants"


class RuleChannel(StrEnum):
    """By what a rule tells: all devices of the user that can be woken, a mail, or a message."""

    PUSH = "push"
    EMAIL = "email"
    MESSAGE = "message"


@dataclass(slots=True, frozen=True)
class Party:
    """A participant of the call, as it was when the event was told."""

    user_id: str
    name: str | None = None
    state: LegState = LegState.INVITED
    answered: bool = False
    end_reason: EndReason | None = None
    decline_reason: DeclineReason | None = None


@dataclass(slots=True, frozen=True)
class Happening:
    """One event as rules see it. Without `call_id` it is about a user alone; `at` is RFC 3339."""

    type: str
    at: str
    user_id: str | None = None
    call_id: str | None = None
    initiator: str | None = None
    call_type: CallType | None = None
    call_state: str = ""
    call_end: EndReason | None = None
    talk_s: int = 0
    parties: tuple[Party, ...] = ()
    presence_state: str = ""
    presence_activity: str = ""
    device_id: str = ""
    device_platform: str = ""

    @property
    def end_reason(self) -> EndReason | None:
        """Why it ended for whom the event is about; else why the call did."""
        about = self.party(self.user_id)
        return (about.end_reason if about else None) or self.call_end

    def party(self, user_id: str | None) -> Party | None:
        return next((party for party in self.parties if party.user_id == user_id), None)


@dataclass(slots=True, frozen=True)
class Receivers:
    """Whom a rule tells: parts in what happened, users by their ids, addresses as they are."""

    parts: tuple[Part, ...] = ()
    ids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Rule:
    """`types` are patterns of event types. Without `ids` and `parts` the rule is for everybody."""

    types: tuple[str, ...]
    channel: RuleChannel
    receivers: Receivers
    title: str
    body: str = ""
    ids: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    end_reasons: tuple[EndReason, ...] = ()
    call_types: tuple[CallType, ...] = ()
    enabled: bool = True


@dataclass(slots=True, frozen=True)
class Receiver:
    """One who is told: a user, or an address."""

    user_id: str | None = None
    email: str | None = None
    phone: str | None = None

    @property
    def key(self) -> str:
        """The same for the same receiver, whoever works it out."""
        return f"user {self.user_id}" if self.user_id is not None else f"email {self.email} phone {self.phone}"


@dataclass(slots=True, frozen=True)
class Match:
    """The rule is meant, for these users; `why` is one sentence."""

    users: tuple[str, ...]
    why: str


@dataclass(slots=True, frozen=True)
class Miss:
    """The rule is not meant, because of `why`."""

    why: str


def fits(pattern: str, type_: str) -> bool:
    """Whether a pattern (`call.ended`, `call.*`, `*`) has this type."""
    if pattern == EVERYTHING:
        return True
    return pattern == type_ or (pattern.endswith(".*") and type_.startswith(pattern[:-1]))


def asked(rule: Rule, happening: Happening) -> Match | Miss:
    """Whether the rule is meant by what happened."""
    if not rule.enabled:
        return Miss("the rule is switched off")
    pattern = next((pattern for pattern in rule.types if fits(pattern, happening.type)), None)
    if pattern is None:
        return Miss(f"{happening.type} is none of its types")
    if why := _unmet(rule, happening):
        return Miss(why)
    users = _about(rule, happening)
    if not users:
        return Miss("it is about nobody whom the rule is for")
    return Match(users, f"its type {pattern} has {happening.type}, and it is about {_listed(users)}")


def _unmet(rule: Rule, happening: Happening) -> str | None:
    """The condition that is not met."""
    if rule.call_types and happening.call_type not in rule.call_types:
        return f"the call type is {happening.call_type or 'none'}, and not one of {_listed(rule.call_types)}"
    if rule.end_reasons and happening.end_reason not in rule.end_reasons:
        return f"the end reason is {happening.end_reason or 'none'}, and not one of {_listed(rule.end_reasons)}"
    return None


def _about(rule: Rule, happening: Happening) -> tuple[str, ...]:
    """Whom the event is about and the rule is for: one user, or of an event of the whole call everybody in it."""
    if happening.user_id is not None:
        concerned: tuple[str, ...] = (happening.user_id,)
    else:
        concerned = tuple(party.user_id for party in happening.parties)
    if not rule.ids and not rule.parts:
        return concerned
    meant = {*rule.ids, *(user for part in rule.parts for user in _playing(part, happening))}
    return tuple(user for user in concerned if user in meant)


def _playing(part: Part, happening: Happening) -> Iterator[str]:
    """The users who are that in what happened."""
    if happening.call_id is None:
        return
    for party in happening.parties:
        called = party.user_id != happening.initiator
        if (
            part is Part.PARTICIPANTS
            or (part is Part.INITIATOR and not called)
            or (part is Part.CALLEES and called)
            or (part is Part.MISSED and called and _missed(party, happening))
        ):
            yield party.user_id


def _missed(party: Party, happening: Happening) -> bool:
    """Whether the call passed somebody by: it rang in vain, or could not ring."""
    if happening.type == CALL_MISSED and happening.user_id == party.user_id:
        return True
    if party.answered:
        return False
    undisturbed = party.state is LegState.DECLINED and party.decline_reason is DeclineReason.DO_NOT_DISTURB
    return party.state in MISSED_LEG or undisturbed


def receivers(rule: Rule, happening: Happening, match: Match) -> tuple[Receiver, ...]:
    """Whom the rule tells, each once, in the order of the rule."""
    told = rule.receivers
    users: list[str] = []
    for part in told.parts:
        users += match.users if part is Part.USER else _playing(part, happening)
    users += told.ids
    return (
        *(Receiver(user_id=user) for user in dict.fromkeys(users)),
        *(Receiver(email=email) for email in dict.fromkeys(told.emails)),
        *(Receiver(phone=phone) for phone in dict.fromkeys(told.phones)),
    )


def without_twins(found: Iterable[Receiver], addresses: Mapping[str, str | None]) -> list[Receiver]:
    """The same, without addresses that one of the users is reached at; `addresses` are the users', by their ids."""
    found = list(found)
    known = {_plain(addresses.get(one.user_id)) for one in found if one.user_id is not None}
    return [one for one in found if one.user_id is not None or _plain(one.email or one.phone) not in known]


def _plain(address: str | None) -> str:
    """An address as it is compared: mail without case, a number without what makes it readable."""
    text = address or "\0"
    return text.casefold() if "@" in text else "".join(sign for sign in text if sign not in " ()-./")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
