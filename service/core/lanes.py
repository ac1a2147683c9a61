"""The lanes of a ladder and the steps between them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from service.core.calls import Call
from service.core.witness import NAMES

LaneKind = Literal["webhook", "backend", "device", "service", "media", "provider"]
StepKind = Literal["command", "alert", "ack", "timer", "webhook", "event", "media"]
Outcome = Literal["ok", "failed", "unknown"]
SERVICE = "hookswitch"


def whether(good: bool) -> Outcome:  # noqa: FBT001 - what it asks is its name
    """How a step is told that went well, or did not."""
    return "ok" if good else "failed"


@dataclass(slots=True, frozen=True)
class Lane:
    """Somebody who says or hears something. `about` says more of it; devices name their user."""

    id: str
    kind: LaneKind
    name: str
    about: str = ""
    user_id: str | None = None
    device_id: str | None = None


@dataclass(slots=True, frozen=True)
class Step:
    """One arrow: what went from one lane to another at `at`. A timer goes from a lane to itself.

    `unknown`: it was handed on, and nothing is known of its arrival. `both`: it goes both ways. `seq` is the event that
    tells of it, `user_id` whom it concerns.
    """

    at: datetime
    kind: StepKind
    source: str
    target: str
    label: str
    note: str = ""
    outcome: Outcome = "ok"
    user_id: str | None = None
    seq: int | None = None
    both: bool = False


@dataclass(slots=True)
class Lanes:
    """The lanes of one call, made as they are needed. `places` is on which device each user is, as far as is known."""

    call: Call
    places: dict[str, str | None] = field(default_factory=dict)
    _made: dict[tuple[str, ...], Lane] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lane(("service",), "service", "Hookswitch", lane_id=SERVICE)

    def backend(self) -> str:
        """Whoever holds an API key."""
        return self._lane(("backend",), "backend", "Backend", "API key", "backend")

    def worker(self) -> str:
        """The media worker of a routed call."""
        return self._lane(("media",), "media", "Media worker", lane_id="media")

    def provider(self, channel: str) -> str:
        """Who carries alerts of that channel."""
        return self._lane(("provider", channel), "provider", NAMES.get(channel, channel), lane_id=channel)

    def webhook(self, webhook_id: str, host: str) -> str:
        """An endpoint of the app."""
        return self._lane(("webhook", webhook_id), "webhook", host, "webhook")

    def device(self, user_id: str, device_id: str | None = None) -> str:
        """A user's device; without its name the one where the user is, or the only one that is known."""
        device_id = device_id or self.places.get(user_id) or self._only_device(user_id)
        leg = self.call.leg(user_id)
        name = (leg.name if leg else None) or user_id
        rings = [ring for ring in leg.rings if ring.device_id == device_id] if leg else []
        platform = next((ring.platform for ring in rings if ring.platform), None)
        about = " · ".join(part for part in (device_id, platform) if part) or "no device"
        key = ("device", user_id, device_id or "")
        return self._lane(key, "device", name, about, user_id=user_id, device_id=device_id)

    def knows(self, user_id: str) -> bool:
        """Whether there is any device of that user that could hear something."""
        return bool(self.places.get(user_id) or self._only_device(user_id))

    def in_order(self) -> list[Lane]:
        """From left to right: the app's own systems, the caller, the service, what it uses, the callees."""
        order = [leg.user_id for leg in self.call.legs]

        def place(lane: Lane) -> tuple[int, int]:
            if lane.kind != "device":
                return {"webhook": 0, "backend": 1, "service": 3, "media": 4, "provider": 5}[lane.kind], 0
            if lane.user_id == self.call.initiator:
                return 2, 0
            return 6, order.index(lane.user_id) if lane.user_id in order else len(order)

        return sorted(self._made.values(), key=place)

    def _only_device(self, user_id: str) -> str | None:
        known = set(self._devices_of(user_id))
        return known.pop() if len(known) == 1 else None

    def _devices_of(self, user_id: str) -> Iterator[str]:
        leg = self.call.leg(user_id)
        if leg and leg.device_id:
            yield leg.device_id
        if leg:
            yield from (ring.device_id for ring in leg.rings)

    def _lane(
        self,
        key: tuple[str, ...],
        kind: LaneKind,
        name: str,
        about: str = "",
        lane_id: str | None = None,
        *,
        user_id: str | None = None,
        device_id: str | None = None,
    ) -> str:
        lane = self._made.get(key)
        if lane is None:
            made = lane_id or f"{kind}-{sum(other.kind == kind for other in self._made.values()) + 1}"
            lane = self._made[key] = Lane(made, kind, name, about, user_id, device_id)
        return lane.id
