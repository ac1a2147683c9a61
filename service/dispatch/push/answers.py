"""What channels over HTTP have in common: how long a notice is good for, what no answer means, and what may be told.

What a provider answers is somebody else's text: it goes into the trace as one short line, without anything secret that
it may repeat.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from service.core.templates import one_line
from service.dispatch.post import Answer
from service.dispatch.push.channel import Notice, Outcome, Receipt

LONGEST_DETAIL = 200
LONGEST_ID = 256
LONGEST_REASON = 64
LONGEST_KEPT = 400
"""A channel's own sentence may be longer than what it quotes."""
SHORTEST_SECRET = 6
"""What is shorter is a word."""
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,63}", re.ASCII)
LONGEST_LIFE_S = 28 * 24 * 3600
"""Four weeks: the longest that FCM keeps a message; push services keep none longer either."""


def left_s(notice: Notice, now: datetime) -> int:
    """For how many whole seconds the notice is still worth delivering: rounded down, so never beyond its end."""
    return max(0, min(LONGEST_LIFE_S, int((notice.expires_at - now).total_seconds())))


def told(text: str | bytes, secrets: Iterable[str] = (), longest: int = LONGEST_DETAIL) -> str:
    """Somebody else's text as one short line, without these secrets."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    for secret in sorted((secret for secret in secrets if len(secret) >= SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, "…")
    return one_line(text)[:longest]


def later(reason: str, detail: str) -> Receipt:
    """No provider has said anything, for that reason: it is tried again."""
    return Receipt(Outcome.LATER, reason=reason, detail=detail)


def plain(receipt: Receipt) -> Receipt:
    """A receipt that can be kept, whatever its provider made the channel put into it."""
    name = told(receipt.provider_id or "", longest=LONGEST_ID) or None
    reason = told(receipt.reason or "", longest=LONGEST_REASON) or None
    detail = told(receipt.detail or "", longest=LONGEST_KEPT) or None
    return replace(receipt, provider_id=name, reason=reason, detail=detail)


def provider_id(text: object) -> str | None:
    """A provider's name for a message, if it is one that can be kept."""
    if isinstance(text, str) and 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable():
        return text
    return None


def reason_word(text: object) -> str | None:
    """A provider's own word for what is wrong, if it is one that can be counted."""
    return text if isinstance(text, str) and WORD.fullmatch(text) else None


def json_object(body: bytes) -> Mapping[str, Any]:
    """An answer's JSON object; empty for anything else."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def unreached(answer: Answer, secrets: Iterable[str] = ()) -> Receipt:
    """What it means that no complete answer came."""
    kind = (answer.error or "").partition(":")[0]
    outcome, reason = {
        "forbidden address": (Outcome.REFUSED, "forbidden_address"),
        "refused URL": (Outcome.REFUSED, "refused_url"),
        "no connection": (Outcome.LATER, "no_connection"),
    }.get(kind, (Outcome.LATER, "no_answer"))
    return Receipt(outcome, reason=reason, detail=told(answer.error or "", secrets), latency_ms=answer.latency_ms)
