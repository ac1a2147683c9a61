"""Tells the play: one line for each thing that happened, with its time, and checked as it is told."""

from collections.abc import Callable
from textwrap import wrap
from typing import Any

from rich.console import Console

WIDTH, COLUMNS = 7, 100


class NotAsTold(Exception):
    """The play cannot go on: something that the next line stands on did not happen."""


class Teller:
    """Writes to `console`; `clock` gives seconds. `checked` counts the facts, `wrong` holds those that did not hold."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._began = clock()
        self._scenes = 0
        self.checked = 0
        self.wrong: list[str] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    def scene(self, title: str) -> None:
        """A headline."""
        self._scenes += 1
        self._console.print()
        self._console.print(f"{self._scenes}. {title}", style="bold")

    def say(self, text: str) -> None:
        """What is done, or a word of explanation."""
        self._line(text)

    def fact(self, text: str, holds: bool, seen: Any = None) -> None:  # noqa: FBT001 - a fact and whether it is one
        """What happened. If it did not, that is told instead, with what was seen, and the play fails in the end."""
        self.checked += 1
        if holds:
            self._line(text)
            return
        wrong = f"NOT SO: {text}" + ("" if seen is None else f" (seen: {seen})")
        self.wrong.append(wrong)
        self._line(wrong, style="bold red")

    def stuck(self, fault: BaseException) -> None:
        """A scene broke off."""
        wrong = f"BROKEN OFF: {str(fault) or type(fault).__name__}"
        self.wrong.append(wrong)
        self._line(wrong, style="bold red")

    def plain(self, text: str = "") -> None:
        """A line without a time."""
        self._console.print(text)

    def _line(self, text: str, style: str | None = None) -> None:
        head = f"{self.seconds:{WIDTH}.3f} s  "
        columns = min(COLUMNS, self._console.width) if self._console.is_terminal else COLUMNS
        told = wrap(text, columns, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False)
        self._console.print("\n".join(told), style=style)
