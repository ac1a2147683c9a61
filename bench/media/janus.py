"""Janus' VideoRoom as the forwarder: started in a folder of its own, spoken to over its WebSocket."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
from itertools import count
from pathlib import Path

from websockets.asyncio.client import connect

from bench.processes import Server

PORT = 8188
PLUGIN = "janus.plugin.videoroom"
MOST_PUBLISHERS = 100
SETTINGS = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{library}/plugins"
    transports_folder = "{library}/transports"
    events_folder = "{library}/events"
    loggers_folder = "{library}/loggers"
    debug_level = 3
    {event_loops}
}}
nat: {{ ice_enforce_list = "{host}" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
SOCKETS = """
general: {{ json = "compact" ws = true ws_port = {port} ws_ip = "{host}" wss = false }}
admin: {{ admin_ws = false admin_wss = false }}
"""


def library():
    """Debian's folder of Janus' plugins."""
    return next(iter(sorted(Path("/usr/lib").glob("*/janus"))), None)


def missing():
    """What to install; None when Janus is there."""
    return None if shutil.which("janus") and library() else "apt-get install --no-install-recommends janus"


def version():
    """As `1.1.2`."""
    told = subprocess.run(["janus", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\((\d+\.\d+\.\d+)\)", told.stdout + told.stderr)
    return found[1] if found else "of unknown version"


def others(folder, kept):
    return ",".join(sorted(path.name for path in folder.glob("*.so") if path.name != kept))


class Janus:
    """One server with one room. `host` must not be a loopback address: Janus leaves those out."""

    name = "Janus"

    def __init__(self, folder, host, *, event_loops=0):
        self.folder = Path(folder)
        self.host = host
        self.event_loops = event_loops
        self.server = None

    @property
    def pid(self):
        return self.server.pid

    async def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        place = library()
        (self.folder / "janus.jcfg").write_text(
            SETTINGS.format(
                folder=self.folder,
                library=place,
                host=self.host,
                event_loops=f"event_loops = {self.event_loops}" if self.event_loops else "",
                plugins=others(place / "plugins", "libjanus_videoroom.so"),
                transports=others(place / "transports", "libjanus_websockets.so"),
            ),
            encoding="utf-8",
        )
        sockets = self.folder / "janus.transport.websockets.jcfg"
        sockets.write_text(SOCKETS.format(port=PORT, host=self.host), encoding="utf-8")
        self.server = Server.start("janus", ["janus", "-F", self.folder, "-o"], self.folder)
        for _ in range(200):
            with contextlib.suppress(OSError):
                async with connect(f"ws://{self.host}:{PORT}", subprotocols=["janus-protocol"], proxy=None):
                    return self
            if self.server.process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        raise RuntimeError(f"Janus does not start:\n{self.server.tail()}")

    async def stop(self):
        if self.server:
            self.server.stop()

    @contextlib.asynccontextmanager
    async def room(self):
        """A new room for one scenario."""
        async with Wire.open(self.host) as wire:
            yield await VideoRoom(wire, self.host).create()


class Wire:
    """One WebSocket with one session; requests are matched by transaction, events by handle."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = count(1)
        self._answers = {}
        self._up = {}
        self.session = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host):
        url = f"ws://{host}:{PORT}"
        async with connect(url, subprotocols=["janus-protocol"], proxy=None, max_size=None) as socket:
            wire = cls(socket)
            tasks = [asyncio.create_task(wire._read()), asyncio.create_task(wire._keep_alive())]
            try:
                wire.session = (await wire.ask({"janus": "create"}))["data"]["id"]
                yield wire
                await wire.ask({"janus": "destroy"})
            finally:
                for task in tasks:
                    task.cancel()

    async def ask(self, document, *, event=False):
        """The answer to a request; with `event` the event that follows the acknowledgement."""
        number = str(next(self._numbers))
        answers = self._answers[number] = asyncio.Queue()
        if self.session:
            document = {**document, "session_id": self.session}
        await self._socket.send(json.dumps({**document, "transaction": number}))
        async with asyncio.timeout(20):
            answer = await answers.get()
            while event and answer["janus"] == "ack":
                answer = await answers.get()
        del self._answers[number]
        if problem := answer.get("error") or answer.get("plugindata", {}).get("data", {}).get("error"):
            raise RuntimeError(f"Janus refuses {document}: {problem}")
        return answer

    async def message(self, handle, body, jsep=None):
        """A message to the plugin that is answered by an event; gives the plugin's data and its description."""
        document = {"janus": "message", "handle_id": handle, "body": body}
        if jsep:
            document["jsep"] = jsep
        answer = await self.ask(document, event=True)
        return answer["plugindata"]["data"], answer.get("jsep")

    def up(self, handle):
        """Set when that handle's connection works for Janus, too."""
        return self._up.setdefault(handle, asyncio.Event())

    async def attach(self):
        return (await self.ask({"janus": "attach", "plugin": PLUGIN}))["data"]["id"]

    async def _read(self):
        async for text in self._socket:
            document = json.loads(text)
            if document["janus"] == "webrtcup":
                self.up(document["sender"]).set()
            elif answers := self._answers.get(document.get("transaction")):
                answers.put_nowait(document)

    async def _keep_alive(self):
        while True:
            await asyncio.sleep(20)
            await self.ask({"janus": "keepalive"})


class VideoRoom:
    """One room, as the scenarios see every forwarder: `publish` and `subscribe` give connected clients."""

    def __init__(self, wire, host):
        self._wire = wire
        self._host = host
        self._handle = None
        self._room = None
        self._feeds = {}
        self._handles = {}

    async def create(self):
        self._handle = await self._wire.attach()
        body = {"request": "create", "publishers": MOST_PUBLISHERS, "bitrate": 0, "fir_freq": 0}
        data, _ = await self._wire.message(self._handle, body)
        self._room = data["room"]
        return self

    async def publish(self, who, client):
        """Connect a client that sends its streams."""
        handle = await self._wire.attach()
        data, _ = await self._wire.message(handle, {"request": "join", "room": self._room, "ptype": "publisher"})
        self._feeds[who] = data["id"]
        jsep = {"type": "offer", "sdp": await client.offer(), "trickle": False}
        _, answer = await self._wire.message(handle, {"request": "publish", "bitrate": 0}, jsep)
        await client.answered(answer["sdp"])
        await client.connected
        await self._wire.up(handle).wait()  # it is a feed only then

    async def subscribe(self, who, client, publishers):
        """Connect a client that receives what those publish (names to their streams). It takes what Janus offers."""
        handle = self._handles[who] = await self._wire.attach()
        body = {"request": "join", "room": self._room, "ptype": "subscriber"}
        body["streams"] = [{"feed": self._feeds[publisher]} for publisher in publishers if publisher != who]
        _, offer = await self._wire.message(handle, body)
        jsep = {"type": "answer", "sdp": await client.answer(offer["sdp"]), "trickle": False}
        await self._wire.message(handle, {"request": "start"}, jsep)
        await client.connected

    async def leave(self, who):
        """No longer a subscriber: its connection is closed."""
        await self._wire.ask({"janus": "detach", "handle_id": self._handles.pop(who)})
