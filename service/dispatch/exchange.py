"""What the log keeps of an attempt: the request's head and the beginning of the answer, and nobody's secrets.

A receiver may say back what it was sent (echo servers do), so the values of an endpoint's own headers and the signing
secrets are taken out of its answer, too.
"""

from collections.abc import Mapping

import orjson

from service.dispatch.post import FIXED, Answer
from service.store.deliveries import Claim
from service.wire.custom_headers import HIDDEN, hidden, without

FIRST_BYTES = 1_024
MOST_HEADERS = 32
LONGEST_HEADER = 256
MOST_HEAD = 2_048
"""Characters of all headers together; those that come later are left out."""
LOOKED_THROUGH = 4 * FIRST_BYTES
"""Secrets are looked for in so much, so that none is cut in two by the end of what is kept."""
NEVER_TOLD = frozenset({"set-cookie", "set-cookie2"})


def exchange_of(claim: Claim, signed: Mapping[str, str], answer: Answer) -> str:
    """`{format, request: {url, headers}, response: {headers, body} | null}` as JSON.

    `format` is whose words the body was in: with it and the event the log makes the body again.
    """
    request = {"url": claim.url, "headers": {**FIXED, **hidden(claim.headers), **signed}}
    response = None
    if answer.status is not None:
        secrets = (*claim.headers.values(), *claim.secrets)
        response = {"headers": _head(answer.headers, secrets), "body": _beginning(answer.body, secrets)}
    return orjson.dumps({"format": claim.form, "request": request, "response": response}).decode()


def _head(headers: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = MOST_HEAD
    for name, value in list(headers.items())[:MOST_HEADERS]:
        told = HIDDEN if name in NEVER_TOLD else _plain(without(secrets, value))[:LONGEST_HEADER]
        left -= len(name) + len(told)
        if left < 0:
            break
        kept[_plain(name)] = told
    return kept


def _beginning(body: bytes, secrets: tuple[str, ...]) -> str:
    """The first bytes as text; what is no UTF-8 is replaced."""
    text = without(secrets, body[:LOOKED_THROUGH].decode(errors="replace"))
    return _plain(text.encode()[:FIRST_BYTES].decode(errors="ignore"))


def _plain(text: str) -> str:
    """Without NUL, which PostgreSQL cannot keep."""
    return text.replace("\0", "")
