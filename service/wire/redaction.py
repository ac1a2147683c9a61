"""What not everybody may read of what everybody hears.

Signals are heard by all, so that nobody's `seq` has a gap; their content is for the addressed.

Those are the ones it names, or all who were in the call when it was said. What is left out takes `data.salt` with it,
so that nobody can find out by trying what gives the hash of the whole.
"""

from collections.abc import Sequence
from typing import Any

import orjson


def readable(text: str, only_for: Sequence[str] | None, user_id: str) -> str:
    """An envelope's text as that user may read it.

    For somebody who neither sent the signal nor is addressed by it, `data.signal.data` is null and `data.redacted`
    true; `data.hash` stays that of the whole event.
    """
    if not only_for or user_id in only_for:
        return text
    envelope = orjson.loads(text)
    data = envelope["data"]
    if data.get("user_id") == user_id:
        return text
    _redact(data)
    if "signal" in data:
        data["signal"]["data"] = None
    return orjson.dumps(envelope).decode()


def without_company(text: str) -> str:
    """A `presence.changed` for users of an app that does not let them see with whom others are busy.

    `busy_with` and the `call_id` of devices are null, and `data.redacted` is true; `data.hash` stays that of the whole
    event.
    """
    envelope = orjson.loads(text)
    data = envelope["data"]
    _redact(data)
    data["presence"]["busy_with"] = None
    for device in data["presence"]["devices"]:
        device["call_id"] = None
    return orjson.dumps(envelope).decode()


def _redact(data: dict[str, Any]) -> None:
    data["redacted"] = True
    if "salt" in data:  # what an older version told has none
        data["salt"] = None
