"""A bounded inbox between the socket's reader and whoever iterates over it."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.client.problems import Overrun

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class _Fault:
    fault: Exception


class Inbox(Generic[T]):
    """An asynchronous iterator that never holds the socket up.

    Holds at most `limit` items; then the oldest go, and the next read raises `Overrun` once. A fault that is
    told is raised once in its turn, and reading goes on behind it. Ends when it is closed and empty, or with the
    exception it was closed by.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._items: deque[T | _Fault] = deque()
        self._limit = limit
        self._dropped = 0
        self._closed = False
        self._fault: Exception | None = None
        self._ready = asyncio.Event()

    def put(self, item: T) -> None:
        """Add an item; never waits."""
        self._add(item)

    def tell(self, fault: Exception) -> None:
        """Let the reader know of something when it comes to this place; never waits."""
        self._add(_Fault(fault))

    def _add(self, item: "T | _Fault") -> None:
        if len(self._items) >= self._limit:
            self._items.popleft()
            self._dropped += 1
        self._items.append(item)
        self._ready.set()

    def close(self, fault: Exception | None = None) -> None:
        """Nothing more will come."""
        self._closed, self._fault = True, fault
        self._ready.set()

    def __aiter__(self) -> "Inbox[T]":
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                raise self._fault or StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            raise Overrun(dropped)
        item = self._items.popleft()
        if isinstance(item, _Fault):
            raise item.fault
        return item
