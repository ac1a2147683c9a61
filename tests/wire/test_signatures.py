"""Signatures against the independent libraries that receivers use."""

import base64
import json
import time

import pytest
import standardwebhooks
import svix.webhooks

from service.wire.signatures import SignatureError, headers, new_secret, verify

ID = "0198c5f0-0000-7000-8000-000000000001"
BODY = json.dumps({"type": "call.ended", "data": {"name": "Zoë 💜"}}, ensure_ascii=False).encode()
LIBRARIES = pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])


def signed(*secrets, message_id=ID, at=None, body=BODY):
    return headers(secrets, message_id, int(time.time()) if at is None else at, body)


def test_the_example_of_the_specification():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    told = headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert told == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@LIBRARIES
def test_libraries_accept_what_we_sign(library):
    secret = new_secret()
    library(secret).verify(BODY, signed(secret))


@LIBRARIES
def test_while_a_secret_is_rotated_both_fit(library):
    old, new = new_secret(), new_secret()
    told = signed(new, old)
    library(old).verify(BODY, told)
    library(new).verify(BODY, told)
    assert verify([old], told, BODY, time.time()) == verify([new], told, BODY, time.time()) == ID


@LIBRARIES
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "another"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ],
)
def test_libraries_and_we_refuse_a_changed_header(library, name, value):
    secret = new_secret()
    changed = {**signed(secret), name: value}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library(secret).verify(BODY, changed)
    with pytest.raises(SignatureError):
        verify([secret], changed, BODY, time.time())


@LIBRARIES
def test_libraries_and_we_refuse_a_changed_body_and_a_strange_secret(library):
    secret = new_secret()
    for key, body in [(secret, BODY + b" "), (new_secret(), BODY)]:
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            library(key).verify(body, signed(secret))
        with pytest.raises(SignatureError):
            verify([key], signed(secret), body, time.time())


@LIBRARIES
def test_we_accept_what_libraries_sign(library):
    secret = new_secret()
    told = signed(secret)
    other = library(secret)
    at = standardwebhooks.webhooks.datetime.fromtimestamp(1614265330, tz=standardwebhooks.webhooks.timezone.utc)
    told = {
        "Webhook-Id": ID,
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v2,zzz " + other.sign(ID, at, BODY.decode()),
    }
    assert verify([secret], told, BODY, 1614265330.5) == ID


@pytest.mark.parametrize(("off", "fine"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_the_timestamp_may_be_five_minutes_off(off, fine):
    secret = new_secret()
    told = signed(secret, at=1_000_000)
    if fine:
        assert verify([secret], told, BODY, 1_000_000 + off) == ID
    else:
        with pytest.raises(SignatureError, match="300 s off"):
            verify([secret], told, BODY, 1_000_000 + off)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing):
    told = signed(new_secret())
    del told[missing]
    with pytest.raises(SignatureError, match=missing):
        verify([new_secret()], told, BODY, time.time())


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e9", "١٢٣", "9" * 400, "1614265330.5"])
def test_a_timestamp_that_is_none_is_refused(timestamp):
    secret = new_secret()
    with pytest.raises(SignatureError, match="not a number"):
        verify([secret], {**signed(secret), "webhook-timestamp": timestamp}, BODY, time.time())


@pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,é\ud800", "v1a,zzz", ",,, ,"])
def test_rubbish_for_a_signature_is_refused(signature):
    secret = new_secret()
    with pytest.raises(SignatureError, match="no signature"):
        verify([secret], {**signed(secret), "webhook-signature": signature}, BODY, time.time())


def test_a_signature_for_another_version_does_not_count():
    secret = new_secret()
    told = signed(secret)
    told["webhook-signature"] = told["webhook-signature"].replace("v1,", "v2,")
    with pytest.raises(SignatureError):
        verify([secret], told, BODY, time.time())


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_####", "whsec_" + base64.b64encode(b"x" * 23).decode(), base64.b64encode(b"x" * 32).decode()],
)
def test_a_malformed_secret_signs_nothing(secret):
    with pytest.raises(ValueError, match="whsec_"):
        headers([secret], ID, 1, BODY)


def test_secrets_are_long_and_never_the_same():
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in made)
