"""What every scene is played on, and what several scenes ask."""

from dataclasses import dataclass, field

from service.client import Call, Client
from service.demo.cast import Cast, Device
from service.demo.google import Google
from service.demo.receiver import Receiver
from service.demo.routed import Routed
from service.demo.server import Server
from service.demo.teller import Teller


@dataclass(frozen=True, slots=True)
class Stage:
    """The service, the backend that owns the app, the people, its webhook endpoint, Google, and who tells it all."""

    server: Server
    backend: Client
    cast: Cast
    receiver: Receiver
    google: Google
    tell: Teller

    async def engaged(self, *user_ids: str) -> dict[str, str]:
        """Those of them who are in anything at all, and in what."""
        return {p.user_id: p.activity for p in await self.backend.presence.of(*user_ids) if p.activity != "idle"}


@dataclass(frozen=True, slots=True)
class Group:
    """A routed call: with which device each is in it, and the media of each."""

    call_id: str
    devices: dict[str, Device]
    media: dict[str, Routed] = field(default_factory=dict)

    def others(self, name: str) -> list[str]:
        """Everybody else who is in it."""
        return [other for other in self.media if other != name]


def standing(call: Call) -> str:
    """How a call stands: `ended(no_answer)`, or its state."""
    return f"ended({call.end_reason})" if call.state == "ended" else call.state


def legs(call: Call) -> dict[str, str]:
    """Who stands how in it."""
    return {leg.user_id: leg.state for leg in call.legs}
