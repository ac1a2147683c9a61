"""Credentials as they come in: a wrong paste is told in one plain sentence that repeats nothing of it."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import TypeAdapter

from service.wire.credentials import Credentials
from service.wire.signatures import key_of, new_secret
from service.wire.uploads import UploadError, check_upload, completed
from service.wire.vapid import make_vapid_key, vapid_public_key
from tests.fakes.apple import pem
from tests.fixtures.grants import grants, rsa_key, service_account

BODY = TypeAdapter(Credentials)
EC = pem(ec.generate_private_key(ec.SECP256R1()))
OTHER_CURVE = pem(ec.generate_private_key(ec.SECP384R1()))
EDWARDS = pem(ed25519.Ed25519PrivateKey.generate())
CHANNELS = ("apns", "fcm", "webpush", "email", "message")


def body(channel, **changes):
    return BODY.validate_python({"channel": channel, **grants(EC)[channel], **changes})


def why(channel, *, allow_private=False, **changes):
    with pytest.raises(UploadError) as raised:
        check_upload(body(channel, **changes), allow_private=allow_private)
    return str(raised.value)


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_fits_is_taken(channel):
    check_upload(body(channel))


@pytest.mark.parametrize("line_ends", ["\n", "\r\n", "\\n"])
def test_a_key_is_taken_with_whatever_line_ends(line_ends):
    account = service_account(private_key=rsa_key().replace("\n", line_ends))
    for given in (body("apns", private_key=EC.replace("\n", line_ends)), body("fcm", service_account=account)):
        check_upload(given)
        completed(given, None)
    if line_ends == "\\n":
        assert completed(given, None).body.service_account.private_key == rsa_key(), "what is kept can be used"


NO_EC = "private_key: is no P-256 key in PEM, as Apple's .p8 files hold it"
NO_RSA = "service_account.private_key: is no RSA key in PEM, as Google's service accounts have it"
NO_VAPID = "private_key: is neither PEM of a P-256 key nor its 32 bytes in base64url"


@pytest.mark.parametrize("key", ["hunter2", "ABC123DEFG", EC[:-60], EC.replace("M", "N"), OTHER_CURVE, EDWARDS])
def test_what_is_no_key_of_apple_s(key):
    assert why("apns", private_key=key) == NO_EC


def test_an_rsa_key_is_none_of_apple_s():
    assert why("apns", private_key=rsa_key()) == NO_EC


@pytest.mark.parametrize("key", ["hunter2", EC, OTHER_CURVE, EDWARDS], ids="word ec curve edwards".split())
def test_what_is_no_key_of_google_s(key):
    assert why("fcm", service_account=service_account(private_key=key)) == NO_RSA


def test_a_key_that_is_cut_off_or_too_short_is_none_of_google_s():
    assert why("fcm", service_account=service_account(private_key=rsa_key()[:-60])) == NO_RSA
    short = service_account(private_key=rsa_key(1024))
    assert why("fcm", service_account=short) == "service_account.private_key: has fewer than 2048 bits"


@pytest.mark.parametrize(
    "key", ["hunter2", OTHER_CURVE, make_vapid_key()[:-3], "A" * 43], ids="word curve cut none".split()
)
def test_what_is_no_key_for_web_push(key):
    assert why("webpush", private_key=key) == NO_VAPID


@pytest.mark.parametrize("subject", ["nonsense", "mailto:nobody", "http://example.com/", "mailto:a@b c", "https://"])
def test_whom_push_services_may_turn_to(subject):
    told = "subject: must be mailto: with an address, or an address that begins with https://"
    assert why("webpush", subject=subject) == told


@pytest.mark.parametrize("key", [EC, make_vapid_key()], ids=["pem", "bytes"])
def test_a_key_for_web_push_may_be_pem_or_its_bytes(key):
    check_upload(body("webpush", private_key=key))


@pytest.mark.parametrize(
    ("channel", "changes", "sentence"),
    [
        ("apns", {"bundle_id": "com.example.app.voip"}, "bundle_id: is the app's own, without .voip"),
        ("email", {"host": "10.0.0.7"}, "host: the host is not a public address (private)"),
        ("email", {"host": "::1"}, "host: the host is not a public address (not a public IPv6 address)"),
        ("email", {"host": "hunter2"}, "host: the host is a local name"),
        ("email", {"host": "mail.internal."}, "host: the host is a local name"),
        ("email", {"host": "hunter2!"}, "host: the host is not a name or an address"),
        ("email", {"host": "mail.example.com:25"}, "host: the host is not a name or an address"),
        ("email", {"host": "2130706433"}, "host: the host looks like an address, but is not written as one"),
        ("email", {"port": 22}, "port: belongs to another kind of server"),
        ("email", {"username": None}, "password: goes with username, and username with password"),
        ("email", {"password": None}, "password: goes with username, and username with password"),
        ("email", {"security": "none"}, "security: with none the password would be sent for everybody to read"),
        ("message", {"url": "https://127.0.0.1/x"}, "url: the host is not a public address (loopback)"),
        ("message", {"url": "ftp://sms.example.com"}, "url: the URL must begin with https:// or http://"),
        (
            "message",
            {"url": "https://me:hunter2@sms.example.com"},
            "url: the URL must not carry a user name or password",
        ),
        ("message", {"secret": "hunter2"}, "secret: a secret is whsec_ and 24 to 64 bytes in base64"),
    ],
)
def test_what_can_be_seen_without_asking_anybody(channel, changes, sentence):
    assert why(channel, **changes) == sentence


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("https://169.254.169.254/token", "the host is not a public address (link-local)"),
        ("http://oauth2.example.com/token", "must begin with https://"),
        ("hunter2", "the URL must begin with https:// or http://"),
    ],
)
def test_where_google_s_tokens_come_from_is_checked(uri, sentence):
    told = why("fcm", service_account=service_account(token_uri=uri))
    assert told == f"service_account.token_uri: {sentence}"


def test_servers_of_one_s_own_are_for_development():
    for given in (
        body("email", host="localhost", port=2525),
        body("message", url="http://127.0.0.1:9000/sms"),
        body("fcm", service_account=service_account(token_uri="http://127.0.0.1:9000/token")),
    ):
        check_upload(given, allow_private=True)
        with pytest.raises(UploadError):
            check_upload(given)


def test_a_key_for_browsers_is_made_once_and_stays():
    first = completed(body("webpush"), None)
    assert vapid_public_key(first.body) == first.about["public_key"]
    again = completed(body("webpush", subject="https://example.com/contact"), first.body)
    assert again.about == {"subject": "https://example.com/contact", "public_key": first.about["public_key"]}
    given = make_vapid_key()
    assert completed(body("webpush", private_key=given), first.body).body.private_key == given
    assert completed(body("webpush"), None).about["public_key"] != first.about["public_key"]


def test_a_gateway_s_secret_is_made_once_told_once_and_stays():
    first = completed(body("message"), None)
    assert key_of(first.secret)
    assert first.body.secret == first.secret
    assert first.secret not in repr(first)
    again = completed(body("message", url="https://other.example.com"), first.body)
    assert (again.body.secret, again.secret) == (first.secret, None)
    given = new_secret()
    assert completed(body("message", secret=given), first.body).secret is None
    chat = BODY.validate_python({"channel": "message", "apprise_url": "tgram://hunter2/{phone}"})
    assert completed(chat, first.body).body.secret is None
    assert completed(body("message"), chat).secret is not None


def test_what_is_told_names_them_and_gives_nothing_away():
    told = {channel: completed(body(channel), None).about for channel in CHANNELS}
    assert told["apns"] == {"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "bundle_id": "com.example.app"}
    assert set(told["fcm"]) == {"project_id", "client_email", "private_key_id"}
    assert told["email"] == {
        "host": "mail.example.com", "port": "587", "security": "starttls", "sender": "calls@example.com",
    }  # fmt: skip
    assert told["message"] == {"url": "https://sms.example.com/…"}
    chat = BODY.validate_python({"channel": "message", "apprise_url": "tgram://hunter2/{phone}"})
    assert completed(chat, None).about == {"apprise_url": "tgram://…{phone}"}
    room = BODY.validate_python({"channel": "message", "apprise_url": "tgram://hunter2/room"})
    assert completed(room, None).about == {"apprise_url": "tgram://…"}
    assert "hunter2" not in str(told)
