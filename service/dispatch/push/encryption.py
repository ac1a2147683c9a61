"""The encryption of Web Push (RFC 8291, aes128gcm of RFC 8188): only the subscribed browser can read what is sent."""

import os

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SALT_BYTES = 16
AUTH_BYTES = 16
POINT_BYTES = 65
RECORD = 4_096
"""The record size that is told, and the most that every push service takes."""
LARGEST = RECORD - (SALT_BYTES + 5 + POINT_BYTES) - 16 - 1
"""Bytes of plain text: what the header, the tag and the end mark of the one record leave."""
END_MARK = b"\x02"


def encrypted(
    text: bytes,
    browser: bytes,
    auth: bytes,
    *,
    own: EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of one message for the browser whose `p256dh` and `auth` these are.

    The own key and the salt are new for each message; the standard's example gives them. Raises ValueError for keys
    that are none, and for a text of more than `LARGEST` bytes.
    """
    if len(text) > LARGEST:
        raise ValueError(f"the message has {len(text)} bytes; {LARGEST} fit")
    if len(auth) != AUTH_BYTES:
        raise ValueError(f"auth has {len(auth)} bytes instead of {AUTH_BYTES}")
    own = own or generate_private_key(SECP256R1())
    salt = salt or os.urandom(SALT_BYTES)
    shared = own.exchange(ECDH(), _point(browser))
    public = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = _derived(shared, auth, b"WebPush: info\0" + browser + public, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD.to_bytes(4, "big") + bytes([len(public)]) + public
    return header + AESGCM(key).encrypt(nonce, text + END_MARK, None)


def _point(browser: bytes) -> EllipticCurvePublicKey:
    try:
        if len(browser) == POINT_BYTES:
            return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), browser)
    except ValueError:
        pass
    raise ValueError("p256dh is not an uncompressed point of P-256")


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
