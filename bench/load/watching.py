"""Sockets that hear of other users' presence, and a webhook beside them: when does whom a change reach."""

import asyncio
from time import perf_counter

import orjson

from bench.load.hookswitch import Person
from bench.load.wires import Http
from bench.provider import take_request

TOGETHER = 10
PATIENCE_S = 10


class Watcher(Person):
    """A user on a socket; `seen` is called with the subject and its flag whenever a presence comes."""

    def __init__(self, user_id, device_id):
        super().__init__(user_id, device_id)
        self.seen = None

    def hear(self, text):
        if self.seen and b'"type":"presence.changed"' in text:
            data = orjson.loads(text)["event"]["data"]
            self.seen(data["user_id"], data["presence"]["do_not_disturb"])
        else:
            super().hear(text)


class Hook(asyncio.Protocol):
    """The webhook's endpoint: one connection."""

    def __init__(self, seen):
        self.seen = seen
        self.transport = None
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while request := take_request(self.buffer):
            _path, body, self.buffer = request
            data = orjson.loads(body)["data"]
            self.seen(data["user_id"], data["presence"]["do_not_disturb"])
            self.transport.write(b"HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n")


class Change:
    """One change on its way: who has yet to hear of it, and when the last of them did."""

    def __init__(self, watchers):
        self.left = watchers
        self.sockets_at = self.hook_at = None
        self.done = asyncio.Event()

    def socket(self):
        self.left -= 1
        if not self.left:
            self.sockets_at = perf_counter()
            self._end()

    def hook(self):
        self.hook_at = perf_counter()
        self._end()

    def _end(self):
        if self.sockets_at and self.hook_at:
            self.done.set()


class Crowd:
    """`pairs` is empty: nothing is played but what `do_change` is asked for."""

    def __init__(self, config):
        self.config = config
        self.pairs = []
        self.watchers = []
        self.changes = {}
        self.flags = dict.fromkeys(config["subjects"], False)
        self.desks = []

    async def open(self):
        host, port = self.config["host"], self.config["port"]
        loop = asyncio.get_running_loop()
        self.endpoint = await loop.create_server(lambda: Hook(self._hooked), host, self.config["hook_port"])
        self.desks = [await Http.open(host, port) for _ in self.flags]
        gate = asyncio.Semaphore(TOGETHER)

        async def connect(user_id, token):
            async with gate:
                watcher = await Watcher.open(host, port, user_id, token)
                watcher.seen = self._seen
                answer = watcher.expect("subscribe")
                watcher.say("presence.subscribe", id="subscribe", user_ids=list(self.flags))
                await asyncio.wait_for(answer, PATIENCE_S)
                return watcher

        self.watchers = await asyncio.gather(*(connect(*person) for person in self.config["watchers"]))
        return self

    def _seen(self, user_id, flag):
        if change := self.changes.get((user_id, flag)):
            change.socket()

    def _hooked(self, user_id, flag):
        if change := self.changes.get((user_id, flag)):
            change.hook()

    async def do_change(self, times, together, pause):
        """Change `together` users at once, `times` times: seconds until the last socket knew, and the webhook."""
        sockets, hooks = [], []
        names = list(self.flags)
        for number in range(times):
            some = [names[(number * together + n) % len(names)] for n in range(together)]
            for one in await asyncio.gather(*(self._change(name) for name in some)):
                sockets.append(one[0])
                hooks.append(one[1])
            await asyncio.sleep(pause)
        return {"sockets": sockets, "hooks": hooks}

    async def _change(self, name):
        flag = self.flags[name] = not self.flags[name]
        change = self.changes[name, flag] = Change(len(self.watchers))
        desk = self.desks[list(self.flags).index(name)]
        began = perf_counter()
        await desk.must("PUT", f"/v1/users/{name}", {"do_not_disturb": flag}, self.config["key"])
        await asyncio.wait_for(change.done.wait(), PATIENCE_S)
        del self.changes[name, flag]
        return change.sockets_at - began, change.hook_at - began

    async def do_pages(self, limit):
        """All users' presence, page by page: seconds, users, and the seconds of the slowest page."""
        desk, cursor, users, slowest = self.desks[0], "", 0, 0.0
        began = perf_counter()
        while cursor is not None:
            asked = perf_counter()
            path = f"/v1/presence?limit={limit}{f'&cursor={cursor}' if cursor else ''}"
            page = await desk.must("GET", path, token=self.config["key"])
            slowest = max(slowest, perf_counter() - asked)
            users, cursor = users + len(page["items"]), page["next_cursor"]
        return {"seconds": perf_counter() - began, "users": users, "slowest": slowest}

    async def close(self):
        self.endpoint.close()
        for one in (*self.watchers, *self.desks):
            one.close()


async def gather(config):
    """`{host, port, key, hook_port, watchers: [[user_id, token], ...], subjects: [user_id, ...]}`."""
    return await Crowd(config).open()
