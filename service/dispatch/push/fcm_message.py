"""The form of FCM HTTP v1 for one notice: a data message, so that the app and not the system shows the call.

`data` has texts alone. `payload` is the payload of the vocabulary as one JSON text; beside it, to be read without
parsing it, stand `type`, `call_id`, `ring_id`, `expires_at` and `action_token` where there are such, and `title` and
`body`, what a person may read as it is. What stands beside is left out where it would go beyond FCM's 4096 bytes.

There is no collapse key: FCM lets a device have twenty collapsible messages at once and then one every three minutes,
and four keys at a time (throttling-and-quotas), which a phone with many short calls would soon have used up; messages
without one are not held back. What comes too late ends by `ttl`, and a device asks the ring's `links.state` anyway.
"""

from datetime import datetime
from typing import Any

import orjson

from service.dispatch.push.answers import left_s
from service.dispatch.push.channel import Notice

BESIDE = ("type", "call_id", "ring_id", "expires_at", "action_token")
LARGEST_DATA = 4_096
"""Bytes of all names and values in `data`."""


def fcm_message(notice: Notice, token: str, now: datetime) -> dict[str, Any]:
    """The body of `messages:send`, without options."""
    return {
        "message": {
            "token": token,
            "data": _data(notice),
            "android": {"priority": "HIGH", "ttl": f"{left_s(notice, now)}s"},
        }
    }


def _data(notice: Notice) -> dict[str, str]:
    data = {"payload": orjson.dumps(notice.payload).decode()}
    room = LARGEST_DATA - _size("payload", data["payload"])
    beside = {name: notice.payload.get(name) for name in BESIDE} | {"title": notice.title, "body": notice.body}
    for name, value in beside.items():
        if isinstance(value, str) and value and (size := _size(name, value)) <= room:
            data[name] = value
            room -= size
    return data


def _size(name: str, value: str) -> int:
    return len(name.encode()) + len(value.encode())
