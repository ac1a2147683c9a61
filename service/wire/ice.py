"""ICE servers as a browser's `RTCPeerConnection` takes them."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, StringConstraints

from service.wire.shapes import Body, Moment, View
from service.wire.turn import TurnConfig, turn_credential

IceUrl = Annotated[str, StringConstraints(max_length=512, pattern=r"^(stun|stuns|turn|turns):[A-Za-z0-9.:\[\]?=_-]+$")]


class IceServer(Body):
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    urls: Annotated[tuple[IceUrl, ...], Field(min_length=1, max_length=16)]
    username: str | None = None
    credential: str | None = None


@dataclass(slots=True, frozen=True)
class IceConfig:
    """The servers every client is told as they are, and those for which each gets a credential of its own.

    Clients ask again after `ttl_s` seconds.
    """

    servers: tuple[IceServer, ...] = ()
    ttl_s: int = 3_600
    turn: TurnConfig = field(default_factory=TurnConfig)

    def servers_for(self, user: str, now: float) -> list[IceServer]:
        """What this user is told at `now` (seconds since the epoch)."""
        told = list(self.servers)
        if self.turn.urls:
            username, credential = turn_credential(self.turn.secrets[0], user, int(now) + self.turn.ttl_s)
            told.append(IceServer(urls=self.turn.urls, username=username, credential=credential))
        return told

    def good_until(self, now: float) -> float:
        """When clients should ask again: before a credential has run out."""
        return now + min(self.ttl_s, self.turn.ttl_s) if self.turn.urls else now + self.ttl_s


class IceServersView(View):
    """What to pass to the peer connection, and until when."""

    ice_servers: list[IceServer]
    expires_at: Moment
