"""Webhook signatures by the Standard Webhooks specification: `v1`, HMAC-SHA256 over `id.timestamp.body`.

Receivers verify them with any Standard Webhooks library, or with :func:`verify`.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
VERSION = "v1"
SECRET_BYTES = 32
SHORTEST_SECRET, LONGEST_SECRET = 24, 64
"""Bytes a secret may have (Standard Webhooks, "Signature scheme")."""
TOLERANCE_S = 300
"""How far a message's timestamp may be from the receiver's clock, either way."""

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class SignatureError(Exception):
    """The message is not what it says, not from whom it says, or too old."""


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(signers: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, signed with every secret given (several while one is being rotated).

    `timestamp` is the moment of this attempt in Unix seconds. Raises `ValueError` for a malformed secret.
    """
    signed = signed_content(message_id, str(timestamp), body)
    signatures = " ".join(f"{VERSION},{_signature(key_of(secret), signed)}" for secret in signers)
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: signatures}


def verify(
    accepted: Iterable[str], received: Mapping[str, str], body: bytes, now: float, tolerance_s: int = TOLERANCE_S
) -> str:
    """Check a received message against any of the secrets; answers its id, by which repeats are recognised.

    `received` are the request's headers in any case, `now` is the receiver's clock in Unix seconds. Raises
    :class:`SignatureError` when a header is missing or malformed, the timestamp is off or no signature fits;
    `ValueError` when a secret of the receiver's own is malformed.
    """
    told = {name.lower(): value for name, value in received.items()}
    try:
        message_id, timestamp, signatures = told[ID], told[TIMESTAMP], told[SIGNATURE]
    except KeyError as error:
        raise SignatureError(f"the header {error.args[0]} is missing") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise SignatureError("the timestamp is not a number of seconds")
    if abs(now - int(timestamp)) > tolerance_s:
        raise SignatureError(f"the timestamp is more than {tolerance_s} s off")
    signed = signed_content(message_id, timestamp, body)
    expected = [_signature(key_of(secret), signed).encode() for secret in accepted]
    given = [part.partition(",") for part in signatures.split(" ")]
    # Every pair is compared, whichever fits first: the time taken says nothing.
    fits = [
        hmac.compare_digest(value.encode(errors="replace"), signature)
        for version, _, value in given
        if version == VERSION
        for signature in expected
    ]
    if not any(fits):
        raise SignatureError("no signature fits")
    return message_id


def key_of(secret: str) -> bytes:
    """The key inside a secret. Raises `ValueError` unless it is `whsec_` and 24 to 64 bytes in base64."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST_SECRET <= len(key) <= LONGEST_SECRET:
        raise ValueError(f"a secret is {PREFIX} and {SHORTEST_SECRET} to {LONGEST_SECRET} bytes in base64")
    return key


def signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    """What is signed."""
    return b".".join((message_id.encode(), timestamp.encode(), body))


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
