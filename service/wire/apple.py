"""Apple's token authentication: the provider token that every push is shown, signed with the team's key (`.p8`)."""

import hashlib
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from service.wire.credentials import ApnsCredentials

NO_KEY = "the private key is no P-256 key in PEM, as Apple's .p8 files hold it"


def provider_token(credentials: ApnsCredentials, at: datetime) -> str:
    """A provider token, issued at that moment. Raises ValueError with one plain sentence when the key is none."""
    header = {"alg": "ES256", "kid": credentials.key_id}
    return jwt.encode(header, {"iss": credentials.team_id, "iat": int(at.timestamp())}, provider_key(credentials))


def key_digest(credentials: ApnsCredentials) -> bytes:
    """What tells signing keys apart: apps of one team often have the same."""
    told = f"{credentials.team_id} {credentials.key_id} {credentials.private_key.strip()}"
    return hashlib.sha256(told.encode()).digest()


def provider_key(credentials: ApnsCredentials) -> ECKey:
    """The team's signing key. Raises ValueError as `provider_token`."""
    try:
        # A key that was copied out of a JSON file still has its line ends written out.
        key = load_pem_private_key(credentials.private_key.strip().replace("\\n", "\n").encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(NO_KEY) from None
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return ECKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    raise ValueError(NO_KEY)
