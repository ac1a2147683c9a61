"""What is sent by Web Push can be read by the browser it is for, and by nobody else."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.dispatch.push.encryption import LARGEST, encrypted
from service.wire.vapid import from_base64url, public_point
from tests.fakes.browser import Browser, decrypted, private_key

# RFC 8291, section 5.
TEXT = b"When I grow up, I want to be a watermelon"
OWN = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
BROWSER_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_the_standard_byte_for_byte():
    body = encrypted(
        TEXT,
        from_base64url(BROWSER_PUBLIC),
        from_base64url(AUTH),
        own=private_key(from_base64url(OWN)),
        salt=from_base64url(SALT),
    )
    assert body == from_base64url(MESSAGE)


def test_the_browser_of_the_tests_reads_the_example_of_the_standard():
    assert decrypted(from_base64url(MESSAGE), private_key(from_base64url(BROWSER)), from_base64url(AUTH)) == TEXT


@pytest.mark.parametrize("length", [0, 1, 3_000, LARGEST])
def test_what_is_encrypted_is_read_by_its_browser_and_differs_each_time(length):
    browser = Browser()
    bodies = [encrypted(b"x" * length, browser.public, browser.auth) for _ in range(2)]
    assert [browser.read(body) for body in bodies] == [b"x" * length] * 2
    assert bodies[0][:16] != bodies[1][:16]
    assert bodies[0][21:86] != bodies[1][21:86]
    assert all(len(body) == length + 103 <= 4_096 for body in bodies)


def test_nobody_else_reads_it():
    browser, other = Browser(), Browser()
    body = encrypted(TEXT, browser.public, browser.auth)
    assert other.read(body) is None
    assert browser.read(body[:-1] + bytes([body[-1] ^ 1])) is None


@pytest.mark.parametrize(
    ("browser", "auth", "why"),
    [
        (b"", b"a" * 16, "point"),
        (b"\x04" + b"\x01" * 64, b"a" * 16, "point"),
        (b"\x04" + b"\x00" * 64, b"a" * 16, "point"),
        (None, b"a" * 15, "auth has 15 bytes"),
        (None, b"a" * 17, "auth has 17 bytes"),
    ],
    ids="none off zero short long".split(),
)
def test_keys_that_are_none_are_refused(browser, auth, why):
    with pytest.raises(ValueError, match=why):
        encrypted(TEXT, Browser().public if browser is None else browser, auth)


def test_a_point_of_another_curve_is_refused():
    other = from_base64url(public_point(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(ValueError, match="point"):
        encrypted(TEXT, other, b"a" * 16)


def test_what_no_push_service_would_take_is_refused():
    browser = Browser()
    with pytest.raises(ValueError, match=f"{LARGEST} fit"):
        encrypted(b"x" * (LARGEST + 1), browser.public, browser.auth)
