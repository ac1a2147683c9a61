"""A browser that subscribed: keys of its own, and the other half of RFC 8291, written apart from the service's."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.wire.vapid import base64url


class Browser:
    """`subscription(endpoint)` is its `PushSubscription.toJSON()`."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    @property
    def public(self):
        return point(self.key.public_key())

    def subscription(self, endpoint):
        keys = {"p256dh": base64url(self.public), "auth": base64url(self.auth)}
        return {"endpoint": endpoint, "expirationTime": None, "keys": keys}

    def read(self, body):
        """The text of a message; `None` for one that is not for this browser."""
        try:
            return decrypted(body, self.key, self.auth)
        except InvalidTag:
            return None


def private_key(secret):
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())


def point(public):
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def decrypted(body, key, auth):
    """By the letter of RFC 8291, 3.4, with HMAC alone. Raises InvalidTag."""
    salt, record, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender, box = body[21 : 21 + length], body[21 + length :]
    assert len(box) <= record, "more than one record"
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
    info = b"WebPush: info\0" + point(key.public_key()) + sender
    secret = _hmac(_hmac(auth, shared), info + b"\1")
    start = _hmac(salt, secret)
    text = AESGCM(_hmac(start, b"Content-Encoding: aes128gcm\0\1")[:16]).decrypt(
        _hmac(start, b"Content-Encoding: nonce\0\1")[:12], box, None
    )
    return text.rstrip(b"\0")[:-1]


def _hmac(key, text):
    return hmac.digest(key, text, hashlib.sha256)
