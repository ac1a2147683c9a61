"""`hookswitch push`: credentials of the channels from the command line, beside a running service."""

import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.cli import main
from service.store.credentials import list_credentials, take_credentials
from service.wire.credentials import WebPushCredentials
from service.wire.sealing import Vault
from tests.fakes.apple import pem
from tests.fixtures.grants import rsa_key, service_account
from tests.fixtures.serving import app_in, client, service_in_loop, service_process
from tests.stories.test_embedded import data_dir  # noqa: F401 - a fixture
from tests.stories.test_serving import command

pytestmark = pytest.mark.timeout(180)  # starts processes, on a machine that may be busy

KEY = "a key of the tests only"
APNS = ("--key-id", "ABC123DEFG", "--team-id", "DEF123GHIJ", "--bundle-id", "com.example.app")


@pytest.fixture
def push(db_url):
    async def run(*arguments, **settings):
        return await command("push", *map(str, arguments), **{"database_url": db_url, "secret_keys": KEY, **settings})

    return run


@pytest.fixture
def p8(tmp_path):
    path = tmp_path / "AuthKey.p8"
    path.write_text(pem(ec.generate_private_key(ec.SECP256R1())))
    return path


@pytest.fixture
def files(tmp_path, monkeypatch, p8):
    """What somebody may take for a key."""
    for name in os.environ:
        if name.startswith("HOOKSWITCH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    contents = {
        "hunter2": b"hunter2",
        "rsa": rsa_key().encode(),
        "list": b"[]",
        "binary": b"\xff",
        "large": b"x" * 70_000,
    }
    for name, content in {**contents, "p8": p8.read_bytes()}.items():
        (tmp_path / name).write_bytes(content)


async def test_credentials_that_are_set_are_there_for_a_running_service_at_once(db_url, push, p8, tmp_path):
    account = tmp_path / "account.json"
    account.write_text(json.dumps(service_account()))
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    async with service_in_loop(db_url, secret_keys=(KEY,)) as reached:
        for arguments in (
            ("apns", "--app", reached.app_id, "--environment", "sandbox", "--key-file", p8, *APNS),
            ("fcm", "--service-account", account),
            ("email", "--host", "mail.example.com", "--sender", "calls@example.com", "--username", "calls",
             "--password-file", password),
            ("webpush", "--subject", "mailto:calls@example.com"),
        ):  # fmt: skip
            code, out, err = await push("set", *arguments)
            assert (code, err) == (0, "")
            assert "hunter2" not in out
            assert "PRIVATE" not in out
        there = (await reached.http.get("/v1/push-credentials")).json()["items"]
        assert [(each["channel"], each["environment"], each["problem"]) for each in there] == [
            ("apns", "sandbox", None),
            ("email", "production", None),
            ("fcm", "production", None),
            ("webpush", "production", None),
        ]
        _, out, _ = await push("list", "--json")
        assert json.loads(out) == there
        browser = await reached.http.get("/v1/push-credentials/webpush/production/public-key")
        code, out, _ = await push("list")
        assert f"public_key={browser.json()['public_key']}  (not used yet)\n" in out, "in full, however wide it is"
        code, _, err = await push("remove", "apns", "--environment", "sandbox")
        assert (code, err) == (0, "removed: apns (sandbox)\n")
        assert len((await reached.http.get("/v1/push-credentials")).json()["items"]) == 3


async def test_a_gateway_s_secret_is_told_once(db_url, push):
    await app_in(db_url)
    code, out, err = await push("set", "message", "--url", "https://sms.example.com/send")
    assert code == 0
    assert "\nsecret  whsec_" in out
    assert "not shown again" in err
    _, out, _ = await push("set", "message", "--url", "https://sms.example.com/send", "--json")
    told = json.loads(out)
    assert told["about"] == {"url": "https://sms.example.com/…"}
    assert "secret" not in told


NO_KEY = "private_key: is no P-256 key in PEM, as Apple's .p8 files hold it"
MAIL = ("email", "--sender", "a@example.com")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("apns", "--key-file", "hunter2", *APNS), NO_KEY),
        (("apns", "--key-file", "rsa", *APNS), NO_KEY),
        (("fcm", "--service-account", "hunter2"), "hunter2 is not JSON"),
        (("fcm", "--service-account", "list"), "service_account: must be an object"),
        (("fcm", "--service-account", "binary"), "binary is not text"),
        (("fcm", "--service-account", "large"), "large is larger than 65536 bytes"),
        (("webpush", "--subject", "me"), "subject: must be mailto: with an address, or an address that begins with https://"),
        ((*MAIL, "--host", "10.0.0.1"), "host: the host is not a public address (private)"),
        ((*MAIL, "--host", "example.com", "--security", "some"), "security: should be 'starttls', 'tls' or 'none'"),
        (("message",), "url or apprise_url: one of them is needed"),
        (("message", "--url", "https://example.com", "--apprise-url-file", "hunter2"),
         "url or apprise_url: one of them is needed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_sentence_that_repeats_no_secret(files, capsys, arguments, sentence):
    assert main(["push", "set", *arguments]) == 1
    assert capsys.readouterr() == ("", f"hookswitch: {sentence}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("remove", "sms"),
        ("remove", "apns", "--environment", "staging"),
        ("set", "apns", "--environment", "staging", "--key-file", "p8", *APNS),
        ("set", "apns", "--key-file", "nowhere", *APNS),
    ],
)
def test_what_does_not_exist_is_a_wrong_option(files, capsys, arguments):
    assert main(["push", *arguments]) == 2
    assert "Invalid value" in capsys.readouterr().err


async def test_whose_and_with_what_key_is_asked_for(db_url, push, p8):
    await app_in(db_url)
    for arguments, settings, sentence in (
        (("set", "apns", "--app", "app_x", "--key-file", p8, *APNS), {}, "there is no app app_x"),
        (("set", "webpush", "--subject", "mailto:a@example.com"), {"secret_keys": ""},
         "this service has no key to keep credentials with: set HOOKSWITCH_SECRET_KEYS"),
        (("remove", "fcm"), {}, "the app has no credentials for fcm (production)"),
    ):  # fmt: skip
        assert await push(*arguments, **settings) == (1, "", f"hookswitch: {sentence}\n")
    await app_in(db_url)
    assert await push("list") == (1, "", "hookswitch: say for which app: there are 2\n")


async def test_an_old_key_can_be_taken_away_after_everything_was_sealed_anew(db_url, database, push):
    made = await app_in(db_url)
    body = WebPushCredentials(subject="mailto:a@example.com")
    async with database.begin() as connection:
        await take_credentials(connection, Vault([KEY]), made.app_id, "production", body)
    new = "the new key of the tests"
    _, out, _ = await push("list", secret_keys=new)
    assert "does not work: they were encrypted with a key that is not among those of this service" in out
    code, _, err = await push("reseal", secret_keys=new)
    assert (code, err) == (1, "0 encrypted with the first key; 1 cannot be opened with any key\n")
    code, _, err = await push("reseal", secret_keys=f"{new},{KEY}")
    assert (code, err) == (0, "1 encrypted with the first key\n")
    async with database.begin() as connection:
        assert [view.works for view in await list_credentials(connection, made.app_id, Vault([new]))] == [None]


async def test_with_the_embedded_postgresql_nothing_has_to_be_set(data_dir):  # noqa: F811 - the fixture
    folder = ("--data-dir", str(data_dir))
    _, out, _ = await command("apps", "create", "shop", "--json", *folder)
    made = json.loads(out)
    code, out, err = await command("push", "set", "webpush", "--subject", "mailto:a@example.com", "--json", *folder)
    assert (code, err) == (0, "")
    assert (data_dir / "secret.key").is_file()
    async with service_process(None, *folder) as process, client(process.base_url, made["api_key"]) as http:
        (there,) = (await http.get("/v1/push-credentials")).json()["items"]
        assert (there["about"], there["problem"]) == (json.loads(out)["about"], None)
        changed = await http.put("/v1/push-credentials/webpush/production", json={"subject": "mailto:b@example.com"})
        assert changed.json()["about"]["public_key"] == there["about"]["public_key"]
