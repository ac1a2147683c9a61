"""Python SDK for backends, CTI systems and tests: REST, the live socket, webhook verification.

    async with Client("http://127.0.0.1:8080", api_key) as client:
        placed = await client.call("ana", ["ben"])
        await client.hang_up(placed.call.id, user_id="ana")

Everything that goes wrong is a :class:`Refused` (the service said no, with a stable code) or an :class:`Unreachable`.
"""

from service.client.feed import Event
from service.client.live import LiveSocket
from service.client.media import SFU, MediaRestart, MediaSlots, QualitySample, Slot, StreamQuality
from service.client.problems import Missed, Overrun, Refused, Unreachable
from service.client.proof import FeedError, verify_feed
from service.client.sdk import Client
from service.client.shapes import (
    Breach,
    Call,
    Connection,
    Device,
    Leg,
    Placed,
    Presence,
    Replaced,
    Ring,
    RingStop,
    RtcFrame,
    Stream,
    Token,
    Trace,
    User,
    Webhook,
)
from service.client.webhooks import verify_webhook
from service.wire.chain import Head
from service.wire.signatures import SignatureError

__all__ = [
    "SFU",
    "Breach",
    "Call",
    "Client",
    "Connection",
    "Device",
    "Event",
    "FeedError",
    "Head",
    "Leg",
    "LiveSocket",
    "MediaRestart",
    "MediaSlots",
    "Missed",
    "Overrun",
    "Placed",
    "Presence",
    "QualitySample",
    "Refused",
    "Replaced",
    "Ring",
    "RingStop",
    "RtcFrame",
    "SignatureError",
    "Slot",
    "Stream",
    "StreamQuality",
    "Token",
    "Trace",
    "Unreachable",
    "User",
    "Webhook",
    "verify_feed",
    "verify_webhook",
]
