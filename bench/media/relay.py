"""aiortc's MediaRelay as the forwarder: it decodes what is published, and encodes it for every subscriber.

`python -m bench.media.relay` is its process: a JSON document on each line, both ways.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

ROOT = Path(__file__).resolve().parents[2]


class Relay:
    """Starts the process; each room is the same one."""

    name = "MediaRelay"

    def __init__(self):
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.media.relay",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        return self

    async def stop(self):
        if self.process:
            self.process.stdin.close()
            await self.process.wait()

    @contextlib.asynccontextmanager
    async def room(self):
        yield self
        await self._ask({"do": "close"})

    async def publish(self, _, client):
        await self._exchange("publish", client, await client.offer())

    async def subscribe(self, _, client, publishers):
        await self._exchange("subscribe", client, await client.offer(["video"] * len(publishers)))

    async def _exchange(self, what, client, offer):
        await client.answered(await self._ask({"do": what, "sdp": offer}))
        await client.connected

    async def _ask(self, document):
        self.process.stdin.write(json.dumps(document).encode() + b"\n")
        return json.loads(await self.process.stdout.readline())["sdp"]


class Serving:
    """The child's side."""

    def __init__(self):
        self._relay = MediaRelay()
        self._connections = []
        self._track = None

    async def run(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**24)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        while line := await reader.readline():
            document = json.loads(line)
            sdp = await self._close() if document["do"] == "close" else await self._answer(**document)
            sys.stdout.write(json.dumps({"sdp": sdp}) + "\n")
            sys.stdout.flush()
        await self._close()

    async def _answer(self, do, sdp):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)
        if do == "publish":
            connection.on("track", self._published)
        else:
            connection.addTrack(self._relay.subscribe(self._track))
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp

    def _published(self, track):
        self._track = track

    async def _close(self):
        for connection in self._connections:
            await connection.close()
        self._connections.clear()


if __name__ == "__main__":
    asyncio.run(Serving().run())
