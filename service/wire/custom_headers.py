"""Headers that an app adds to its webhooks' requests: which names and values may be, and what may be told of them.

Values are often credentials of the receiver. They are sent and never shown: answers and logs have `[hidden]` for them,
also where a receiver says them back.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

HIDDEN = "[hidden]"
MOST_HEADERS = 20
LONGEST_VALUE = 1_024
MOST_BYTES = 8_192
"""All names and values together."""
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
"""A field name of RFC 9110 5.6.2."""
SHORTEST_SECRET = 6
"""Shorter values are not looked for in what a receiver says: they would be found everywhere."""

OURS = frozenset(
    {
        "host",
        "user-agent",
        "accept",
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "accept-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        "expect",
        "date",
        "range",
    }
)
"""What makes the request what it is: who frames it decides where it ends and how it is read."""
TRUSTED = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "metadata",
        "metadata-flavor",
        "x-google-metadata-request",
    }
)
"""What servers believe of a request because only a proxy or a machine of their own is supposed to say it."""
FORBIDDEN_BEGINNINGS = ("webhook-", "svix-", "proxy-", "sec-", "x-forwarded-", "x-aws-ec2-metadata-", "x-hookswitch-")


def why_not(name: str) -> str | None:
    """Why a header of this name cannot be added, in one sentence; `None` for one that can."""
    if not NAME.fullmatch(name):
        return "a header's name is a token of RFC 9110 of at most 64 characters"
    lower = name.lower()
    if lower in OURS or lower in TRUSTED or lower.startswith(FORBIDDEN_BEGINNINGS):
        return "this header belongs to the service or to proxies and cannot be set"
    return None


def _checked(name: str) -> str:
    if why := why_not(name):
        raise ValueError(why)
    return name


def _sent(value: str) -> str:
    if value == HIDDEN:
        raise ValueError(f"{HIDDEN} stands for a value in answers; leave the header out to keep what it has")
    return value


HeaderName = Annotated[str, AfterValidator(_checked)]
HeaderValue = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_VALUE, pattern=r"^[!-~]([ -~]*[!-~])?$"),
    AfterValidator(_sent),
]
"""Visible ASCII, with blanks inside."""


def _fit(headers: Mapping[str, str | None]) -> Mapping[str, str | None]:
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is given twice")
    if sum(len(name) + len(value or "") for name, value in headers.items()) > MOST_BYTES:
        raise ValueError(f"all headers together have at most {MOST_BYTES} characters")
    return headers


CustomHeaders = Annotated[dict[HeaderName, HeaderValue], Field(max_length=MOST_HEADERS), AfterValidator(_fit)]
HeaderChanges = Annotated[
    dict[HeaderName, HeaderValue | None], Field(max_length=2 * MOST_HEADERS), AfterValidator(_fit)
]


def merged(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The headers after a change: `None` takes one away, what is not named stays. Case makes no difference in names.

    Raises `ValueError` when they would be too many.
    """
    touched = {name.lower() for name in changes}
    kept = {name: value for name, value in before.items() if name.lower() not in touched}
    after = {**kept, **{name: value for name, value in changes.items() if value is not None}}
    if len(after) > MOST_HEADERS:
        raise ValueError(f"at most {MOST_HEADERS} headers")
    _fit(after)
    return after


def hidden(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as they may be told: their names alone."""
    return dict.fromkeys(headers, HIDDEN)


def without(secrets: Iterable[str], text: str) -> str:
    """A text in which these secrets are hidden, whole, behind their scheme (`Bearer …`), and as JSON writes them."""
    parts = {part for secret in secrets for part in (secret, secret.rpartition(" ")[2])}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SHORTEST_SECRET:
            text = text.replace(part, HIDDEN).replace(json.dumps(part)[1:-1], HIDDEN)
    return text
