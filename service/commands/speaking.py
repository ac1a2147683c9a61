"""How every command speaks: answers to stdout, everything else to stderr, faults in one line. And what many take."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.config import Settings

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the embedded PostgreSQL. [default: .hookswitch]")
]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")]
App = Annotated[str | None, typer.Option("--app", help="app_id; may be left out when there is one app only.")]


def say(sentence: str) -> None:
    """Tell the operator; stdout is for answers."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - the command line speaks


def complain(sentence: str) -> None:
    """A fault in one line."""
    say(f"hookswitch: {' '.join(sentence.split())}")


def answer(text: str) -> None:
    """What was asked for."""
    print(text, flush=True)  # noqa: T201 - the command line speaks


def settings_from(**given: Any) -> "Settings":
    """Environment and file, with what the command line gives on top."""
    from service.config import load_settings

    return load_settings(**given)
