"""Mozilla's push service on loopback: a browser at its one end (autopush's websocket), senders at the other."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from service.wire.vapid import base64url, from_base64url
from tests.dispatch.receiver import Receiver, listening, status

DECRYPTED = 100
"""By which code the browser acknowledges what it could read (dom/push: ACK_DELIVERED)."""


@dataclass
class FakeAutopush(Receiver):
    """`greeted` once the browser is there; `acked` are the codes by which it acknowledged, in their order."""

    socket_port: int = 0
    channels: dict = field(default_factory=dict)
    greeted: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Queue = field(default_factory=asyncio.Queue)
    acked: asyncio.Queue = field(default_factory=asyncio.Queue)

    @property
    def socket_url(self):
        return f"ws://127.0.0.1:{self.socket_port}/"

    def answer_to(self, request):
        """A sender's message: who sends is checked, and the browser is told."""
        channel = request.target.rpartition("/")[2]
        if channel not in self.channels:
            return status(410)
        scheme, _, rest = request.headers["authorization"].partition(" ")
        shown = dict(part.strip().split("=", 1) for part in rest.split(","))
        if scheme != "vapid" or not _signed(shown["t"], shown["k"], self.channels[channel]):
            return status(401, body=b'{"errno":109,"message":"VAPID public key mismatch"}')
        version = uuid4().hex
        headers = {"encoding": request.headers["content-encoding"]}
        told = {"messageType": "notification", "channelID": channel, "version": version, "headers": headers}
        self.waiting.put_nowait({**told, "data": base64url(request.body)})
        return status(201, f"location: http://127.0.0.1:{self.port}/m/{version}")

    async def browser(self, socket):
        """One browser's connection."""
        relay = asyncio.create_task(self._relay(socket))
        try:
            async for text in socket:
                if answer := self._heard(json.loads(text)):
                    await socket.send(json.dumps(answer))
        except ConnectionClosed:
            pass
        finally:
            relay.cancel()

    async def _relay(self, socket):
        while True:
            await socket.send(json.dumps(await self.waiting.get()))

    def _heard(self, said):
        if not said:
            return said  # a ping
        if said["messageType"] == "hello":
            self.greeted.set()
            return {"messageType": "hello", "uaid": uuid4().hex, "status": 200, "use_webpush": True, "broadcasts": {}}
        if said["messageType"] == "register":
            channel = said["channelID"]
            self.channels[channel] = said["key"].rstrip("=")
            endpoint = f"http://127.0.0.1:{self.port}/wpush/v2/{channel}"
            return {"messageType": "register", "channelID": channel, "status": 200, "pushEndpoint": endpoint}
        for update in said.get("updates", ()):
            self.acked.put_nowait(update["code"])
        return None


def _signed(token, shown, subscribed):
    """Whether who sends is whom the browser subscribed with."""
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(subscribed))
    try:
        jwt.decode(token, ECKey.import_key(point), ["ES256"])
    except JoseError:
        return False
    return shown == subscribed


@asynccontextmanager
async def autopush():
    fake = FakeAutopush()
    async with (
        listening(fake),
        serve(fake.browser, "127.0.0.1", 0, subprotocols=["push-notification"]) as server,
    ):
        fake.socket_port = server.sockets[0].getsockname()[1]
        yield fake
