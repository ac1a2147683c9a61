"""Asking a publisher for a key frame: one question for all who wait, repeated until it came (RFC 4585, RFC 5104)."""

from typing import Final

GAP: Final = 0.5  # between two questions for one encoding
SLOW: Final = 2.0  # after five in vain: the source may have stopped
SHARED: Final = 1.0  # between two questions because viewers complain, however many they are
AGAIN: Final = 2.5  # a viewer may complain twice in a row, then once in so many seconds


class KeyFrames:
    """The questions for one encoding."""

    __slots__ = ("_asked_at", "_due_at", "_tries", "asked", "wanted")

    def __init__(self) -> None:
        self._asked_at = self._due_at = float("-inf")
        self._tries = 0
        self.asked = 0
        self.wanted = False

    def want(self) -> None:
        """Somebody cannot begin without: a new viewer, a change of layers, a loss that cannot be mended."""
        self.wanted = True
        self._due_at = min(self._due_at, self._asked_at + (GAP if self._tries < 5 else SLOW))

    def complain(self) -> None:
        """A viewer asks for one. Everybody else gets it, too, and pays for it."""
        if not self.wanted:
            self.wanted = True
            self._due_at = self._asked_at + SHARED

    def came(self) -> None:
        """A key frame began. What asks after it is a new wish."""
        self.wanted = False
        self._tries = 0
        self._due_at = self._asked_at + GAP

    def due(self, now: float) -> bool:
        """Whether to ask now; counts as asked."""
        if not self.wanted or now < self._due_at:
            return False
        self._asked_at = now
        self._due_at = now + (GAP if self._tries < 4 else SLOW)
        self._tries += 1
        self.asked += 1
        return True

    @property
    def unheard(self) -> bool:
        """Whether two questions were in vain: some clients hear FIR alone."""
        return self._tries > 2
