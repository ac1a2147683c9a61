"""Asking a publisher for a key frame: one question for all who wait, repeated until it came (RFC 4585, RFC 5104)."""

from typing import Final

DEAF: Final = 0.32  # after a question: Chromium ignores, for all layers of a track, what comes within 300 ms of it
GAP: Final = 0.5  # between two questions for one encoding of which the first was heard
SLOW: Final = 2.0  # after five in vain: the source may have stopped
SHARED: Final = 1.0  # between two questions because viewers complain, however many they are
AGAIN: Final = 2.5  # a viewer may complain twice in a row, then once in so many seconds
_PATIENT: Final = 5


class Course:
    """What the encodings of a track share: when a question was asked that its client certainly heard."""

    __slots__ = ("heard_at",)

    def __init__(self) -> None:
        self.heard_at = float("-inf")


class KeyFrames:
    """The questions for one encoding."""

    __slots__ = ("_asked_at", "_course", "_due_at", "_tries", "asked", "wanted")

    def __init__(self, course: Course) -> None:
        self._course = course
        self._asked_at = self._due_at = float("-inf")
        self._tries = 0
        self.asked = 0
        self.wanted = False

    def want(self) -> None:
        """Somebody cannot begin without: a new viewer, a change of layers, a loss that cannot be mended.

        That waits for no complaint of others, only as long as the client would not hear it, or may still be answering.
        """
        gap = SLOW if self._tries >= _PATIENT else GAP if self.wanted and self._tries else DEAF
        self.wanted = True
        self._due_at = min(self._due_at, self._asked_at + gap)

    def complain(self) -> None:
        """A viewer asks for one. Everybody else gets it, too, and pays for it."""
        if not self.wanted:
            self.wanted = True
            self._due_at = self._asked_at + SHARED

    def came(self) -> None:
        """A key frame began. What asks after it is a new wish."""
        self.wanted = False
        self._tries = 0
        self._due_at = self._asked_at + DEAF

    def due(self, now: float) -> bool:
        """Whether to ask now; counts as asked.

        What may not be heard, because another layer was asked for just before, is asked again as soon as it is.
        """
        if not self.wanted or now < self._due_at:
            return False
        self._asked_at = now
        self._tries += 1
        self.asked += 1
        hears_again = self._course.heard_at + DEAF
        if now >= hears_again:
            self._course.heard_at = now
            hears_again = now + GAP
        self._due_at = hears_again if self._tries < _PATIENT else now + SLOW
        return True

    @property
    def unheard(self) -> bool:
        """Whether two questions were in vain: some clients hear FIR alone."""
        return self._tries > 2
