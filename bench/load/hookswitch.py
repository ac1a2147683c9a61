"""A user of ours on a socket: what it says, and waiting for what it hears."""

import asyncio
from time import perf_counter

import orjson

from bench.load.wires import WebSocket


class Person:
    """One user with one device. Events are waited for by (type, call); rings by `ring` and the caller."""

    def __init__(self, user_id, device_id):
        self.user_id, self.device_id = user_id, device_id
        self.socket = None
        self.wanted = {}
        self.results = {}
        self.welcome = None

    @classmethod
    async def open(cls, host, port, user_id, token, device_id="phone"):
        person = cls(user_id, device_id)
        person.welcome = asyncio.get_running_loop().create_future()
        person.socket = await WebSocket.open(host, port, "/v1/ws", "hookswitch.v1", person.hear)
        person.socket.say({"type": "hello", "token": token, "device_id": device_id, "platform": "web"})
        await asyncio.wait_for(person.welcome, 30)
        return person

    def hear(self, text):
        frame = orjson.loads(text)
        kind = frame["type"]
        if kind == "event":
            event = frame["event"]
            self._settle((event["type"], event["data"].get("call_id")), event)
        elif kind == "ring":
            ring = frame["ring"]
            self._settle(("ring", ring["caller"]["id"]), (perf_counter(), ring["call_id"]))
        elif kind == "result":
            self._settle(frame.get("id"), frame)
        elif kind == "error":
            self._fail(frame)
        elif kind == "welcome" and not self.welcome.done():
            self.welcome.set_result(frame)

    def _settle(self, key, value):
        waiter = self.wanted.pop(key, None)
        if waiter and not waiter.done():
            waiter.set_result(value)

    def _fail(self, frame):
        fault = RuntimeError(f"{self.user_id}: {orjson.dumps(frame).decode()[:300]}")
        if not self.welcome.done():
            self.welcome.set_exception(fault)
        for waiter in self.wanted.values():
            if not waiter.done():
                waiter.set_exception(fault)
        self.wanted.clear()

    def expect(self, *key):
        """A future of what is heard under this key; a refusal breaks it."""
        waiter = asyncio.get_running_loop().create_future()
        self.wanted[key if len(key) > 1 else key[0]] = waiter
        return waiter

    def say(self, kind, **fields):
        self.socket.say({"type": kind, **fields})

    def close(self):
        self.socket.close()
