"""Provider tokens as Apple wants them, and keys that are none."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from service.wire.apple import key_digest, provider_token
from tests.core.story import NOON
from tests.fakes.apple import KEY_ID, TEAM_ID, apns_credentials, pem, public_half


def test_a_provider_token_names_key_team_and_moment_and_nothing_else():
    credentials = apns_credentials()
    public = public_half(credentials).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    token = jwt.decode(provider_token(credentials, NOON), ECKey.import_key(public), algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "kid": KEY_ID, "typ": "JWT"}
    assert token.claims == {"iss": TEAM_ID, "iat": int(NOON.timestamp())}


def test_a_key_with_its_line_ends_written_out_is_taken():
    credentials = apns_credentials()
    flat = credentials.model_copy(update={"private_key": credentials.private_key.replace("\n", "\\n")})
    assert provider_token(flat, NOON).count(".") == 2


KEYS = {
    "text": lambda: "no key at all",
    "another curve": lambda: pem(generate_private_key(SECP384R1())),
    "rsa": lambda: pem(generate_rsa_key(65537, 2048)),
    "public": lambda: (
        public_half(apns_credentials()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    ),
    "encrypted": lambda: (
        generate_private_key(SECP384R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        .decode()
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_that_is_none_is_named_so_without_its_text(kind):
    credentials = apns_credentials(private_key=KEYS[kind]())
    with pytest.raises(ValueError, match=r"^the private key is no P-256 key in PEM, as Apple's \.p8 files hold it$"):
        provider_token(credentials, NOON)


def test_keys_are_told_apart_by_team_id_and_key():
    one = apns_credentials()
    others = [one.model_copy(update={name: "OTHER"}) for name in ("team_id", "key_id", "private_key")]
    assert len({key_digest(each) for each in (one, *others)}) == 4
    assert key_digest(one) == key_digest(one.model_copy(update={"bundle_id": "com.example.other"}))
