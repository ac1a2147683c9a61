"""VAPID (RFC 8292): how a push service knows who sends; the public half is what a page's browser subscribes with."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from service.wire.credentials import WebPushCredentials

KEY_BYTES = 32
NO_KEY = "the private key is neither PEM of a P-256 key nor its 32 bytes in base64url"


def make_vapid_key() -> str:
    """A new private key: the 32 bytes of a P-256 key in base64url, as other tools write it."""
    secret = generate_private_key(SECP256R1()).private_numbers().private_value
    return base64url(secret.to_bytes(KEY_BYTES, "big"))


def vapid_public_key(credentials: WebPushCredentials) -> str:
    """What browsers subscribe with (`applicationServerKey`): the uncompressed point in base64url.

    Raises ValueError with one plain sentence when there is no key, or none that can be used.
    """
    return public_point(vapid_key(credentials))


def vapid_key(credentials: WebPushCredentials) -> EllipticCurvePrivateKey:
    """The private key of the credentials. Raises ValueError as `vapid_public_key`."""
    text = (credentials.private_key or "").strip()
    if not text:
        raise ValueError("there is no private key")
    return _of_pem(text) if text.startswith("-----") else _of_bytes(text)


def vapid_token(key: EllipticCurvePrivateKey, origin: str, subject: str, expires_at: float) -> str:
    """What a push service is shown: for that service alone (`https://host`), until then (at most a day from now)."""
    claims = {"aud": origin, "exp": int(expires_at), "sub": subject}
    return jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, ECKey.import_key(_numbers(key)))


def public_point(key: EllipticCurvePrivateKey) -> str:
    """The public half: the uncompressed point in base64url."""
    return base64url(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Base64url, or plain base64 as some tools write it, with or without padding. Raises ValueError."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    if not plain.isascii() or not plain.replace("-", "").replace("_", "").isalnum():
        raise ValueError("not base64url")
    return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))


def _of_pem(text: str) -> EllipticCurvePrivateKey:
    try:
        # A key that was copied out of a JSON file still has its line ends written out.
        key = load_pem_private_key(text.replace("\\n", "\n").encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(NO_KEY) from None
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError(NO_KEY)


def _of_bytes(text: str) -> EllipticCurvePrivateKey:
    try:
        secret = from_base64url(text)
        if len(secret) != KEY_BYTES:
            raise ValueError(NO_KEY)
        return derive_private_key(int.from_bytes(secret, "big"), SECP256R1())
    except ValueError:
        raise ValueError(NO_KEY) from None


def _numbers(key: EllipticCurvePrivateKey) -> dict[str, str | list[str]]:
    """The key as a JWK."""
    private = key.private_numbers()
    public = private.public_numbers
    parts = {"x": public.x, "y": public.y, "d": private.private_value}
    return {
        "kty": "EC",
        "crv": "P-256",
        **{name: base64url(value.to_bytes(KEY_BYTES, "big")) for name, value in parts.items()},
    }
