"""Sends the streams of many clients, each evenly at its own rate."""

import asyncio
import heapq
import time
from itertools import count

TICK_S = 0.001
MOST_A_TICK = 400  # a sender that fell behind does not send everything at once


class Pace:
    """`add` clients that are connected; `stop` at the end. Late packets are sent, not left out."""

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._due = []
        self._order = count()
        self._timer = None
        self._watched = []
        self.behind_s = 0.0

    def add(self, client):
        now = time.perf_counter()
        for stream in client.streams:
            # Spread the first packets over the interval: nobody's camera is in step with another's.
            first = now + next(self._order) * 0.37 % 1 / stream.rate
            heapq.heappush(self._due, (first, next(self._order), client, stream))
        if self._timer is None:
            self._tick()

    def stop(self):
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._due.clear()

    async def until(self, stream, number):
        """Wait until that many packets of the stream are sent."""
        done = self._loop.create_future()
        self._watched.append((stream, number, done))
        await done

    def _tick(self):
        due, now = self._due, time.perf_counter()
        for _ in range(MOST_A_TICK):
            if not due or due[0][0] > now:
                break
            at, order, client, stream = due[0]
            self.behind_s = max(self.behind_s, now - at)
            if client.socket.fileno() < 0:
                heapq.heappop(due)
                continue
            client.send_next(stream)
            heapq.heapreplace(due, (at + 1 / stream.rate, order, client, stream))
        for stream, number, done in self._watched:
            if stream.sent >= number and not done.done():
                done.set_result(None)
        self._timer = self._loop.call_later(TICK_S, self._tick)
