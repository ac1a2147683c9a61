"""Which packets of a stream are missing, and when to ask for them again (RFC 4585, generic NACK)."""

from typing import Final

TOLERANCE: Final = 0.008  # a packet that is merely reordered comes within this time
AGAIN: Final = 0.06  # about a round trip; doubled from the third asking on
MOST: Final = 256
TRIES: Final = 8
GIVE_UP: Final = 1.2


class Losses:
    """Missing packets by extended sequence: (when to ask, how often asked, missing since)."""

    __slots__ = ("_missing", "asked", "due")

    def __init__(self) -> None:
        self._missing: dict[int, tuple[float, int, float]] = {}
        self.due = float("inf")
        self.asked = 0

    def __len__(self) -> int:
        return len(self._missing)

    def gap(self, first: int, end: int, now: float) -> bool:
        """Packets first to end - 1 were skipped. False when that is more than asking again would mend."""
        if len(self._missing) + end - first > MOST:
            self.clear()
            return False
        due = now + TOLERANCE
        for sequence in range(first, end):
            self._missing[sequence] = (due, 0, now)
        self.due = min(self.due, due)
        return True

    def came(self, sequence: int) -> None:
        self._missing.pop(sequence, None)

    def clear(self) -> None:
        self._missing.clear()
        self.due = float("inf")

    def take(self, now: float) -> list[int]:
        """What to ask for now, in rising order; what was asked for in vain is given up."""
        ask: list[int] = []
        missing, due = self._missing, float("inf")
        for sequence, (when, tries, since) in list(missing.items()):
            if tries >= TRIES or now - since > GIVE_UP:
                del missing[sequence]
                continue
            if when <= now:
                ask.append(sequence)
                missing[sequence] = (now + AGAIN * (1 if tries < 2 else 2), tries + 1, since)
            due = min(due, missing[sequence][0])
        self.due = due
        self.asked += len(ask)
        return sorted(ask)
