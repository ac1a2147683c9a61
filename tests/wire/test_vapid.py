"""The key that push services know an app by, and what they are shown."""

import re
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from service.wire.credentials import WebPushCredentials
from service.wire.vapid import make_vapid_key, vapid_key, vapid_public_key, vapid_token

SUBJECT = "mailto:push@example.com"
RFC_8291_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RFC_8291_PUBLIC = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"


def credentials(private_key):
    return WebPushCredentials(subject=SUBJECT, private_key=private_key)


def pem(key, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def test_a_made_key_is_another_one_each_time_and_has_a_public_half():
    made = [make_vapid_key() for _ in range(20)]
    assert len(set(made)) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", key) for key in made)
    point = urlsafe_b64decode(vapid_public_key(credentials(made[0])) + "=")
    assert (len(point), point[0]) == (65, 4)


def test_the_public_half_is_that_of_the_standard():
    """Appendix A of RFC 8291 names both halves of the application server's key."""
    assert vapid_public_key(credentials(RFC_8291_PRIVATE)) == RFC_8291_PUBLIC


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "sec1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n"], ids=["unix", "windows", "out of JSON"])
def test_the_same_key_in_pem_has_the_same_public_half(form, line_end):
    text = pem(vapid_key(credentials(RFC_8291_PRIVATE)), form).replace("\n", line_end)
    assert vapid_public_key(credentials(text)) == RFC_8291_PUBLIC


@pytest.mark.parametrize("written", [RFC_8291_PRIVATE + "=", RFC_8291_PRIVATE.replace("-", "+")])
def test_other_ways_to_write_the_32_bytes_are_read_too(written):
    assert vapid_public_key(credentials(written)) == RFC_8291_PUBLIC


@pytest.mark.parametrize(
    "text",
    [
        None,
        "nonsense",
        "A" * 42,
        "A" * 43,
        "_" * 43,
        "!" * 43,
        RFC_8291_PUBLIC,
        "-----BEGIN NOTHING-----",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65537, 2048)),
    ],
    ids="none word short zero beyond signs public pem p384 rsa".split(),
)
def test_what_is_no_such_key_is_refused_in_words_that_do_not_repeat_it(text):
    with pytest.raises(ValueError, match="private key") as told:
        vapid_public_key(credentials(text))
    assert text is None or text not in str(told.value)


def test_the_token_is_signed_and_names_service_subject_and_end():
    key = vapid_key(credentials(RFC_8291_PRIVATE))
    token = vapid_token(key, "https://push.example.net", SUBJECT, 1_800_000_000.9)
    point = urlsafe_b64decode(RFC_8291_PUBLIC + "=")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_numbers()
    known = ECKey.import_key(ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1()).public_key())
    read = jwt.decode(token, known, algorithms=["ES256"])
    assert read.header == {"typ": "JWT", "alg": "ES256"}
    assert read.claims == {"aud": "https://push.example.net", "sub": SUBJECT, "exp": 1_800_000_000}
