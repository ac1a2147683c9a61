"""Events: the envelope as an object, the app's pull feed, and the proof that none is missing or changed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.client.http import Door
from service.client.patience import LATER, pause_s
from service.client.problems import Refused, Unreachable
from service.client.shapes import Call, shaped
from service.wire.chain import Head, head_of, misplaced, unsealed
from service.wire.feed import hash_of

PATH = "/events"
LONG_POLL_S = 30
LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    `envelope` is `{type, timestamp, data}` as it was told; `cursor` is the reader's place in the app's feed after it,
    where known.
    """

    envelope: Mapping[str, Any]
    cursor: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Event":
        """From an item of a feed or a socket frame: `{event, cursor}`, or the bare envelope with or without it."""
        if "event" in item:
            return cls(item["event"], item.get("cursor"))
        return cls({key: value for key, value in item.items() if key != "cursor"}, item.get("cursor"))

    @property
    def type(self) -> str:
        """`call.created`, `participant.answered`, …."""
        return str(self.envelope["type"])

    @property
    def data(self) -> Mapping[str, Any]:
        """What the event says."""
        data: Mapping[str, Any] = self.envelope["data"]
        return data

    @property
    def call_id(self) -> str | None:
        """The call it is about; `None` for presence and devices."""
        return self.data.get("call_id")

    @property
    def user_id(self) -> str | None:
        """The participant it is about."""
        return self.data.get("user_id")

    @property
    def stream(self) -> str:
        """The chain it belongs to: that of its call, of its user's presence, or of its user's devices.

        What is told of a webhook is a chain of its own each time.
        """
        if self.call_id:
            return self.call_id
        if "webhook_id" in self.data:
            return f"webhook {self.data['webhook_id']}, event {self.data.get('event_id')}"
        return f"devices of user {self.user_id}" if self.type.startswith("device.") else f"user {self.user_id}"

    @property
    def seq(self) -> int:
        """Its number in its call (presence, devices: of its user), from 1 and without gaps.

        0 for what nobody keeps: `speaker.changed`, `quality.reported`.
        """
        return int(self.data.get("seq", 0))

    @property
    def call(self) -> Call:
        """The call after the event. Raises `KeyError` when the event is not about a call."""
        return shaped(self.data["call"], Call)

    @property
    def late_by_ms(self) -> int:
        """How much later than due it was settled."""
        return int(self.data.get("late_by_ms", 0))

    @property
    def intact(self) -> bool:
        """Whether its own hash closes; it cannot where something was left out (`partial`)."""
        return self.data.get("hash") == hash_of(dict(self.envelope))

    @property
    def unsealed(self) -> bool:
        """Whether it is from before the chain: what an older version told of webhooks has no hash."""
        return unsealed(self.envelope)

    @property
    def partial(self) -> bool:
        """Whether something was left out: of a signal to somebody else, or of what was too large for a webhook.

        Its `hash` is that of the whole event.
        """
        return bool(self.data.get("redacted") or self.data.get("truncated"))


def unbroken(events: Iterable[Event]) -> bool:
    """Whether these are all the events of one stream so far: numbered from 1 without gaps, each closing the chain.

    `verify_feed` (proof.py) says where it breaks.
    """
    head = Head()
    for event in events:
        if misplaced(head, event.envelope):
            return False
        head = head_of(event.envelope)
    return True


async def read_page(
    door: Door, path: str, after: str | None, *, wait_s: float = 0, **asked: Any
) -> tuple[list[Event], str | None, bool]:
    """A page of a feed: the events, the cursor to go on from, and whether there may be more already.

    The last event has that cursor, too.
    """
    params = {"after": after, "wait_s": wait_s or None, **asked}
    page = await door.ask("GET", path, params=params, wait_s=wait_s)
    events, place = [Event.of(item) for item in page["items"]], page["next_cursor"] or after
    if events:
        events[-1] = replace(events[-1], cursor=place)
    return events, place, page["more"]


async def followed(door: Door, path: str, after: str | None, **asked: Any) -> AsyncIterator[Event]:
    """A feed behind the cursor and then, for ever, what happens; a service that goes away is waited for.

    Raises `Refused`, and `Unreachable` when nobody has ever answered.
    """
    tries, met = 0, False
    while True:
        try:
            events, after, _ = await read_page(door, path, after, wait_s=LONG_POLL_S, limit=LARGEST_PAGE, **asked)
        except (Unreachable, Refused) as fault:
            if not met or (isinstance(fault, Refused) and fault.status not in LATER):
                raise
            await asyncio.sleep(pause_s(tries))
            tries += 1
            continue
        tries, met = 0, True
        for event in events:
            yield event


class Feed:
    """`GET /v1/events`: everything that happened in the app, for consumers that prefer pulling."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def read(
        self, after: str | None = None, *, types: Iterable[str] = (), limit: int = 200, wait_s: int = 0
    ) -> tuple[list[Event], str | None]:
        """One page behind the cursor and the cursor to go on from; waits up to `wait_s` (30) for a first event."""
        wanted = {"types": _listed(types), "limit": limit}
        events, place, _ = await read_page(self._door, PATH, after, wait_s=wait_s, **wanted)
        return events, place

    def follow(self, after: str | None = None, *, types: Iterable[str] = ()) -> AsyncIterator[Event]:
        """Everything behind the cursor and then, for ever, what happens; a service that goes away is waited for.

        Events that have a `cursor`, as the last of each page has, say where to go on from some other day. Raises
        `Refused`, and `Unreachable` when nobody has ever answered.
        """
        return followed(self._door, PATH, after, types=_listed(types))

    async def caught_up(self, after: str | None = None, *, types: Iterable[str] = ()) -> list[Event]:
        """Everything behind the cursor, up to now; also while new events come all the time."""
        found: list[Event] = []
        wanted, more = _listed(types), True
        while more:
            events, after, more = await read_page(self._door, PATH, after, types=wanted, limit=LARGEST_PAGE)
            found += events
        return found


def _listed(types: Iterable[str]) -> str | None:
    return ",".join(types) or None
