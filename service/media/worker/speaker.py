"""Who speaks, from the levels that clients write into their packets (RFC 6464), without flapping.

Levels are -dBov: 0 is the loudest, 127 silence. Each source's are smoothed over 100 ms; somebody else must be louder
by 3 dB for 600 ms to take over, and a change is told at most every 300 ms.
"""

from dataclasses import dataclass

SILENCE = 127.0
STEP_S = 0.100
_MARGIN_DB = 3.0
_LOUDER_S = 0.600
_QUIET_DB = 55.0  # background, not speech
_LET_GO_S = 1.5  # of silence; pauses between sentences are shorter
_TOLD_S = 0.300
_RISE = 0.6  # of the way to a louder level in one step; a cough alone does not reach it for long
_FALL = 0.25


@dataclass(slots=True)
class Source:
    """One audio stream. `level`: smoothed, in -dBov.

    `spoke_at`: when it last was louder than background; `led_at`: when it last was the active one.
    """

    level: float = SILENCE
    spoke_at: float | None = None
    led_at: float | None = None
    total: int = 0
    count: int = 0
    louder_since: float | None = None


@dataclass(slots=True, frozen=True)
class Speaking:
    """The one who speaks: the stream's key and its smoothed level in -dBov. No key: nobody."""

    key: str | None
    level: float


class Speakers:
    """The audio streams of a room. `hear` for every packet, `step` from the ticker."""

    def __init__(self, now: float) -> None:
        self.sources: dict[str, Source] = {}
        self.active: str | None = None
        self._stepped_at = now
        self._told_at = now - _TOLD_S
        self._told: str | None = None

    def hear(self, key: str, level: int, *, voice: bool = True) -> None:
        """A packet's level. What its client marks as no voice counts as half as loud."""
        source = self.sources.get(key)
        if source is None:
            source = self.sources[key] = Source()
        source.total += level if voice else min(127, level + 6)
        source.count += 1

    def remove(self, key: str) -> None:
        """The stream ended or was muted."""
        self.sources.pop(key, None)
        if self.active == key:
            self.active = None

    def step(self, now: float) -> Speaking | None:
        """Smooth what was heard; the change to tell, if there is one."""
        if now - self._stepped_at < STEP_S:
            return None
        self._stepped_at = now
        for source in self.sources.values():
            self._smooth(source, now)
        self._choose(now)
        if self.active == self._told or now - self._told_at < _TOLD_S:
            return None
        self._told, self._told_at = self.active, now
        return Speaking(self.active, self.sources[self.active].level if self.active is not None else SILENCE)

    @property
    def told(self) -> Speaking:
        """Who speaks, as it was told last."""
        source = self.sources.get(self._told) if self._told is not None else None
        return Speaking(self._told, source.level) if source is not None else Speaking(None, SILENCE)

    def spoken(self, now: float) -> dict[str, int]:
        """Whole seconds since each stream was louder than background, of those that ever were."""
        return {key: int(now - each.spoke_at) for key, each in self.sources.items() if each.spoke_at is not None}

    def led(self, now: float) -> dict[str, int]:
        """Whole seconds since each stream was the active one, of those that ever were."""
        return {key: int(now - each.led_at) for key, each in self.sources.items() if each.led_at is not None}

    @staticmethod
    def _smooth(source: Source, now: float) -> None:
        heard = source.total / source.count if source.count else SILENCE
        source.total = source.count = 0
        source.level += (heard - source.level) * (_RISE if heard < source.level else _FALL)
        if source.level < _QUIET_DB:
            source.spoke_at = now

    def _choose(self, now: float) -> None:
        current = self.sources.get(self.active) if self.active is not None else None
        if current is not None and (current.spoke_at is None or now - current.spoke_at > _LET_GO_S):
            self.active, current = None, None
        best: str | None = None
        for key, source in self.sources.items():
            ahead = source.level < _QUIET_DB and (current is None or source.level < current.level - _MARGIN_DB)
            if not ahead or key == self.active:
                source.louder_since = None
                continue
            if source.louder_since is None:
                source.louder_since = now
            # Nobody to take over from: two steps, so that a click is not a speaker.
            patience = _LOUDER_S if current is not None else 2 * STEP_S
            if now - source.louder_since >= patience - 1e-6 and (
                best is None or source.level < self.sources[best].level
            ):
                best = key
        if best is not None:
            self.active = best
        if self.active is not None:
            self.sources[self.active].led_at = now
