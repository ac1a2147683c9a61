"""Keys as Apple hands them out, made for the moment, and provider tokens without a database."""

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from service.store.provider_tokens import ProviderToken
from service.wire.apple import provider_token
from service.wire.credentials import ApnsCredentials

KEY_ID, TEAM_ID, BUNDLE_ID = "KEY1234567", "TEAM123456", "com.example.phone"


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def apns_credentials(**how):
    """Credentials with a key of their own."""
    if "private_key" not in how:
        how["private_key"] = pem(generate_private_key(SECP256R1()))
    return ApnsCredentials(**{"key_id": KEY_ID, "team_id": TEAM_ID, "bundle_id": BUNDLE_ID, **how})


def public_half(credentials):
    """The key by which Apple checks the credentials' tokens."""
    return load_pem_private_key(credentials.private_key.encode(), None).public_key()


class FakeProviderTokens:
    """One process's tokens, which are good for ever."""

    def __init__(self):
        self.tokens = {}

    async def current(self, credentials, now):
        if credentials.private_key not in self.tokens:
            self.tokens[credentials.private_key] = ProviderToken(provider_token(credentials, now), now)
        return self.tokens[credentials.private_key]

    async def instead_of(self, refused, credentials, now):
        return None
