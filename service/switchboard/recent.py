"""Calls as this process wrote them a moment ago, so that the next command need not read them again.

A hint, never the truth: what is decided on it counts only if it could be written, under the guard of the call's version
(store/turns.py), and otherwise the call is read and decided anew. So it may be forgotten at any time, and what others
write costs one statement that changes nothing.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from service.core.calls import Call
from service.store.calls import Loaded

MOST = 2_000
FOR_S = 10.0
"""Those who talk longer are read when they hang up."""


@dataclass(slots=True, frozen=True)
class Kept:
    """A call after a turn, and the monotonic second until which it is of use."""

    call: Call
    ruled: bool
    until: float


class Recent:
    """The last `most` calls of this process. `seconds` is a monotonic clock."""

    def __init__(self, seconds: Callable[[], float], *, most: int = MOST, for_s: float = FOR_S) -> None:
        self._seconds = seconds
        self._most = most
        self._for_s = for_s
        self._kept: OrderedDict[UUID, Kept] = OrderedDict()
        self._zero: datetime | None = None

    def clock_was(self, now: datetime) -> None:
        """The database's clock said this just now."""
        self._zero = now - timedelta(seconds=self._seconds())

    def keep(self, call: Call, *, ruled: bool) -> Call:
        """A turn was written: `call` is as it left it, with the version that it began with. Ended calls are let go.

        Returns the call with the version that it has now.
        """
        call_id, now = UUID(call.id), replace(call, version=call.version + 1)
        self._kept.pop(call_id, None)
        if not call.ended:
            self._kept[call_id] = Kept(now, ruled, self._seconds() + self._for_s)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return now

    def heard_of(self, call_id: UUID, version: int) -> None:
        """Another process has made this version of the call."""
        kept = self._kept.get(call_id)
        if kept and kept.call.version < version:
            del self._kept[call_id]

    def find(self, call_id: UUID) -> Loaded | None:
        """The call with the time by the database's clock; `None` where it must be read. Not to be changed."""
        kept, seconds = self._kept.get(call_id), self._seconds()
        if kept is None or self._zero is None:
            return None
        if kept.until < seconds:
            del self._kept[call_id]
            return None
        return Loaded(kept.call, self._zero + timedelta(seconds=seconds), kept.ruled)
