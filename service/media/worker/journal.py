"""The log of a worker: one line of JSON per event on stderr, with the same fields as the service's own."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

FIELDS = ("app_id", "call_id", "epoch", "op")
"""What may be told of an event beside its words (`extra`), where it is known."""


class Journal(logging.Formatter):
    """Writes records of the worker of this name as JSON."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "worker": self._worker,
            "pid": record.process,
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
