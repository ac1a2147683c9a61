"""Who may have how many alerts under way, so that providers which hang slow nobody but themselves.

The first `first` of a lane come out of no pool. What a lane has beyond them comes out of its channel's pool, up to
`per_lane`; lanes that are slow share half a pool of their own. Only `most_in_all` bounds everything, as open files do.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from service.store.lanes import channel_of


@dataclass(slots=True, frozen=True)
class SpaceConfig:
    """Alerts under way: of each channel's pool, of a lane, of a lane in any case, in all. Slow takes `slow_s`."""

    per_channel: int = 256
    per_lane: int = 64
    first: int = 8
    most_in_all: int = 1_024
    slow_s: float = 1.0


class Space:
    """Counts what one process has under way, and says what there is room for."""

    def __init__(self, config: SpaceConfig | None = None) -> None:
        self._config = config or SpaceConfig()
        self._flying: Counter[str] = Counter()
        self._slow: set[str] = set()

    def took_off(self, lane: str) -> None:
        """An alert is under way."""
        self._flying[lane] += 1

    def landed(self, lane: str, took_s: float) -> None:
        """It is no longer; it took so many seconds."""
        self._flying[lane] -= 1
        if took_s >= self._config.slow_s:
            self._slow.add(lane)
        elif lane in self._slow:
            self._slow.remove(lane)
        if not self._flying[lane]:
            del self._flying[lane]

    def room(self, lanes: Iterable[str]) -> dict[str, int]:
        """How many alerts more may be under way, for those of these lanes for which there is any room."""
        how = self._config
        pools: Counter[tuple[str, bool]] = Counter()
        for lane, flying in self._flying.items():
            pools[self._pool(lane)] += self._beyond(flying)
        left, found = how.most_in_all - self._flying.total(), dict[str, int]()
        for lane in lanes:
            flying, pool = self._flying[lane], self._pool(lane)
            size = how.per_channel // 2 if pool[1] else how.per_channel
            free = max(0, how.first - flying) + max(0, size - pools[pool])
            free = min(free, how.per_lane - flying, left)
            if free > 0:
                found[lane] = free
                left -= free
                pools[pool] += self._beyond(flying + free) - self._beyond(flying)
        return found

    def _pool(self, lane: str) -> tuple[str, bool]:
        return channel_of(lane), lane in self._slow

    def _beyond(self, flying: int) -> int:
        """How many of these come out of a pool."""
        return max(0, flying - self._config.first)
