"""The body of a webhook's request: the event as it stands in the feed, or cut when it is too large for a webhook.

What is cut says so: `data.truncated` is true, and `data.links` tells where all of it is (`call` the call as it is now,
`event` this very event; `presence` for a user's). The feeds always have the whole event.

`data.hash` of a cut event is that of the whole one, and `data.prev` as ever. So the chain can be checked as with a
redacted signal: the `prev` of the next event is this `hash`; only the hash of the cut body itself closes nothing. That
the body is genuine says its signature; who wants to prove its content reads the whole event at `links.event`, and
hashes that.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson

from service.core.cti import Format
from service.wire.mapped import beside
from service.wire.shapes import cursor_of

LARGEST_BODY = 20_000
"""A body has fewer bytes (Standard Webhooks asks for less than 20 KB)."""
KEPT_AT_LAST = frozenset(
    {"call_id", "user_id", "webhook_id", "event_id", "seq", "prev", "hash", "occurred_at", "late_by_ms", "cause"}
)

Data = dict[str, Any]


def body_of(text: str, base_url: str, form: Format | None = None) -> bytes:
    """What is sent for an event of this text. `base_url` is what links begin with; without it they are paths.

    With `form` the word of that system stands beside what is told of presence (`mapped.py`).
    """
    body, word = text.encode(), beside(text, form).encode() if form else b""
    if len(body) + len(word) >= LARGEST_BODY:
        body = _cut(orjson.loads(body), base_url.rstrip("/"), LARGEST_BODY - len(word))
    return body[:-1] + word + b"}" if word else body


def _cut(envelope: dict[str, Any], base_url: str, largest: int) -> bytes:
    """Take away, step by step, what is largest and least about the change itself, until it fits."""
    data: Data = envelope["data"]
    data |= {"truncated": True, "links": _links(data, base_url)}
    body = b""
    for step in STEPS:
        step(data)
        body = orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)
        if len(body) < largest:
            break
    return body


def _links(data: Data, base_url: str) -> dict[str, str]:
    if "call_id" in data:
        call = f"{base_url}/v1/calls/{data['call_id']}"
        return {"call": call, "event": f"{call}/events?limit=1&cursor={cursor_of(str(data['seq']))}"}
    if "presence" in data:
        return {"presence": f"{base_url}/v1/users/{quote(data['user_id'], safe='')}/presence"}
    return {}


def _changed_leg_alone(data: Data) -> None:
    """Of the call's legs only the one that the event is about; of a presence no devices."""
    if "call" in data:
        data["call"]["legs"] = [leg for leg in data["call"]["legs"] if leg["user_id"] == data.get("user_id")]
    if "presence" in data:
        data["presence"]["devices"] = []


def _no_custom(data: Data) -> None:
    """Nothing of the caller's own data, and nothing twice."""
    if "call" in data:
        data["call"]["custom"] = {}
        if "participant" in data:
            data["call"]["legs"] = []
    if "presence" in data:
        data["presence"]["busy_with"] = []


def _no_legs(data: Data) -> None:
    if "call" in data:
        data["call"]["legs"] = []


def _names_alone(data: Data) -> None:
    for name in data.keys() - KEPT_AT_LAST - {"truncated", "links"}:
        del data[name]


STEPS: tuple[Callable[[Data], None], ...] = (_changed_leg_alone, _no_custom, _no_legs, _names_alone)
