"""Clients that live in a process of their own, so that their handshakes do not stand in the way of what is measured.

`python -m bench.media.elsewhere HOST` is that process: a JSON document on each line, both ways.
"""

import asyncio
import contextlib
import json
import os
import sys
from itertools import count
from pathlib import Path

import orjson
import uvloop

from bench.media.client import Client
from bench.media.slab import Slab

ROOT = Path(__file__).resolve().parents[2]
POLITE = 10  # niceness: what is measured comes first
PATIENCE_S = 10
STAY_S = 0.3


class Guests:
    """The child's side."""

    def __init__(self, host):
        self._host = host
        self._slab = Slab()
        self._there = {}
        self._tasks = set()

    async def run(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**24)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        while line := await reader.readline():
            task = asyncio.create_task(self._obey(orjson.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _obey(self, document):
        number = document.pop("number")
        try:
            answer = {"value": await self._do(**document)}
        except Exception as error:  # noqa: BLE001 - told to the parent
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.buffer.write(orjson.dumps({"number": number, **answer}) + b"\n")
        sys.stdout.buffer.flush()

    async def _do(self, guest, what, value=None):
        client = self._there.get(guest) or self._there.setdefault(guest, Client(self._slab, self._host))
        async with asyncio.timeout(PATIENCE_S):
            if what == "offer":
                return await client.offer(value)
            if what == "answered":
                return await client.answered(value)
            if what == "answer":
                return await client.answer(value)
            if what == "connected":
                return await client.connected
            if what == "arrived":
                return await client.arrived
        self._there.pop(guest).close()
        return None


class Elsewhere:
    """The parent's side."""

    def __init__(self, process):
        self._process = process
        self._numbers = count(1)
        self._answers = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.media.elsewhere",
            host,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        elsewhere = cls(process)
        try:
            yield elsewhere
        finally:
            process.stdin.close()
            await process.wait()
            elsewhere._reader.cancel()

    async def visit(self, room, who, publishers):
        """Come, see the first packet, stay a moment, go."""
        guest = Guest(self, who)
        try:
            await room.subscribe(who, guest, publishers)
            await guest.ask("arrived")
            await asyncio.sleep(STAY_S)
        finally:
            await guest.ask("close")
        await room.leave(who)

    async def ask(self, document):
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"number": number, **document}).encode() + b"\n")
        found = await answer
        if "error" in found:
            raise RuntimeError(f"a guest: {found['error']}")
        return found["value"]

    async def _read(self):
        while line := await self._process.stdout.readline():
            document = orjson.loads(line)
            self._answers.pop(document["number"]).set_result(document)


class Guest:
    """Looks like a client to a room."""

    def __init__(self, elsewhere, name):
        self._elsewhere = elsewhere
        self._name = name

    async def ask(self, what, value=None):
        return await self._elsewhere.ask({"guest": self._name, "what": what, "value": value})

    async def offer(self, receives=()):
        return await self.ask("offer", list(receives))

    async def answered(self, answer):
        await self.ask("answered", answer)

    async def answer(self, offer):
        return await self.ask("answer", offer)

    @property
    def connected(self):
        return self.ask("connected")


if __name__ == "__main__":
    os.nice(POLITE)
    uvloop.run(Guests(sys.argv[1]).run())
