"""ICE servers as a browser's `RTCPeerConnection` takes them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from service.wire.shapes import Body, Moment, View

IceUrl = Annotated[str, StringConstraints(max_length=512, pattern=r"^(stun|stuns|turn|turns):[A-Za-z0-9.:\[\]?=_-]+$")]


class IceServer(Body):
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    urls: Annotated[tuple[IceUrl, ...], Field(min_length=1, max_length=16)]
    username: str | None = None
    credential: str | None = None


@dataclass(slots=True, frozen=True)
class IceConfig:
    """The servers every client is told, and for how many seconds the answer is good."""

    servers: tuple[IceServer, ...] = ()
    ttl_s: int = 3_600


class IceServersView(View):
    """What to pass to the peer connection, and until when."""

    ice_servers: list[IceServer]
    expires_at: Moment
