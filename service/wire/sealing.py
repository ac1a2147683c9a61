"""Keeping secrets of others: sealed with the service's own key before they are stored, opened where they are used.

Fernet (AES-128-CBC with HMAC-SHA256) as `cryptography` does it. Several keys allow a change: the first one seals, all
open. Any text of 16 characters or more is a key; a long random one is a good one.
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

SHORTEST_KEY = 16
PURPOSE = b"hookswitch credentials 1\0"


class UnsealedError(Exception):
    """Nothing that these keys open: it was sealed with another one."""


class Vault:
    """Seals and opens. Raises ValueError for no key at all, or one that is too short."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"a key has at least {SHORTEST_KEY} characters")
        self._fernet = MultiFernet([Fernet(_stretched(key)) for key in keys])

    def seal(self, secret: bytes) -> bytes:
        """The secret as it may be stored."""
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises :class:`UnsealedError`."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise UnsealedError("the credentials were sealed with another key") from error


def _stretched(key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(PURPOSE + key.encode()).digest())
