"""The command line beside a running service."""

import json
import os
import re
from importlib.metadata import version

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from service.cli import main
from service.config import Settings, SettingsError, load_settings, refuse_unknown, settings_table
from service.wire.sealing import UnsealedError, Vault
from tests.fixtures.feeds import asked
from tests.fixtures.serving import client
from tests.house.source import ROOT
from tests.stories.test_serving import command

pytestmark = pytest.mark.timeout(180)  # starts processes, on a machine that may be busy


async def test_an_app_made_beside_the_running_service_can_be_used_at_once(running_service):
    code, out, err = await command("apps", "create", "shop", "--json", database_url=running_service.db_url)
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert set(made) == {"app_id", "api_key", "signing_key_id", "signing_secret"}
    async with client(running_service.base_url, made["api_key"]) as http:
        assert (await asked(http.get("/v1/app")))["name"] == "shop"

    code, out, _ = await command("apps", "list", "--json", database_url=running_service.db_url)
    assert [app["name"] for app in json.loads(out)] == ["test", "shop"]
    assert made["signing_secret"] not in out


async def test_the_keys_are_printed_in_full_for_people_too(db_url):
    code, out, err = await command("apps", "create", "shop", database_url=db_url)
    assert code == 0
    assert re.search(r"^api_key +hsk_[\w-]{43}$", out, re.MULTILINE)
    assert re.search(r"^signing_secret +[\w-]{64}$", out, re.MULTILINE)
    assert "not shown again" in err


async def test_a_token_from_the_command_line_opens_the_service(running_service):
    code, out, _ = await command("tokens", "create", "ann", "--name", "Ann", database_url=running_service.db_url)
    assert code == 0
    claims = jwt.decode(out.strip(), OctKey.import_key(running_service.signing_secret)).claims
    assert (claims["sub"], claims["name"]) == ("ann", "Ann")
    async with client(running_service.base_url, out.strip()) as http:
        assert (await http.get("/v1/users/ann")).status_code in {200, 404}
    code, _, err = await command("tokens", "create", "ann", "--app", "app_x", database_url=running_service.db_url)
    assert (code, err) == (1, "hookswitch: there is no app app_x\n")


async def test_a_call_from_the_command_line_is_told_to_its_end(running_service):
    """The callee is a test user who declines at once."""
    code, out, err = await command(
        "call", "ann", "test:decline:do_not_disturb", "--url", running_service.base_url,
        "--api-key", running_service.api_key,
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("call ")
    assert any(re.match(r" +\d+\.\d{3} s  participant\.declined +test:decline", line) for line in lines)
    assert lines[-1] == "ended: declined, 0 s of talk"


async def test_a_call_from_the_command_line_says_in_the_end_why_it_rang(running_service):
    code, out, _ = await command(
        "call",
        "ann",
        "test:decline",
        "--trace",
        "--url",
        running_service.base_url,
        "--api-key",
        running_service.api_key,
    )
    assert code == 0
    words = out.splitlines()[-1]
    assert words.startswith("test:decline: test-device: rang over its socket after ")
    assert ", declined there after " in words


async def test_a_call_that_is_refused_is_told_in_one_sentence(running_service):
    code, _, err = await command(
        "call", "ann", "ann", "--url", running_service.base_url, "--api-key", running_service.api_key
    )
    assert code == 1
    assert err.startswith("hookswitch: cannot_call_self: ")


async def test_the_doctor_is_content_with_a_sound_database(db_url, tmp_path):
    code, out, _ = await command("doctor", "--port", "0", database_url=db_url, data_dir=tmp_path)
    assert code == 0, out
    assert "FAULT" not in out
    assert re.search(r"^ok +PostgreSQL", out, re.MULTILINE)
    assert "PostgreSQL 18 answers" in out
    assert "clock" in out
    assert re.search(r"^note +no TURN server", out, re.MULTILINE)


async def test_the_doctor_names_what_is_wrong(tmp_path):
    url = "postgresql://me:hunter2@127.0.0.1:1/x"
    code, out, _ = await command("doctor", "--port", "0", database_url=url, data_dir=tmp_path)
    assert code == 1
    assert re.search(r"^FAULT +PostgreSQL does not answer", out, re.MULTILINE)
    assert "hunter2" not in out


@pytest.fixture
def no_settings(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith("HOOKSWITCH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_misspelt_variable_is_refused_by_its_name(no_settings, monkeypatch, capsys):
    monkeypatch.setenv("HOOKSWITCH_PROT", "1")
    assert main(["serve", "--port", "0"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "hookswitch: HOOKSWITCH_PROT: there is no such setting (perhaps HOOKSWITCH_PORT is meant)\n"


def test_it_tells_its_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hookswitch {version('hookswitch')}\n"


def test_an_unknown_option_is_told_with_the_way_to_help(capsys):
    assert main(["serve", "--prot", "1"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_the_command_line_goes_over_the_environment_over_the_file(no_settings, monkeypatch):
    (no_settings / "hookswitch.toml").write_text('host = "a"\nport = 1\nroles = ["api", "timers"]\n')
    monkeypatch.setenv("HOOKSWITCH_PORT", "2")
    settings = load_settings(host=None, log_level="debug")
    assert (settings.host, settings.port, settings.roles, settings.log_level) == ("a", 2, ("api", "timers"), "debug")
    assert load_settings(port=3).port == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROLES", "api,cook"),
        ("ROLES", ","),
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("LEASE_S", "0"),
        ("PORT", "x"),
        ("SECRET_KEYS", "hunter2"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(no_settings, monkeypatch, name, value):
    monkeypatch.setenv(f"HOOKSWITCH_{name}", value)
    with pytest.raises(SettingsError, match=f"HOOKSWITCH_{name}") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"port": 99_999}, "--port: must be at most 65535"),
        ({"roles": "foo"}, "--roles: each must be 'api', 'dispatch', 'timers' or 'media'"),
        ({"lease_s": 0}, "--lease-s: must be more than 0"),
    ],
)
def test_a_wrong_option_is_told_in_plain_words(no_settings, given, sentence):
    with pytest.raises(SettingsError) as raised:
        load_settings(**given)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "x", "must be a whole number"),
        ("LEASE_S", "x", "must be a number"),
        ("LOG_LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error'"),
        ("ALLOW_PRIVATE_WEBHOOKS", "perhaps", "must be true or false"),
        ("ICE_SERVERS", "[", "must be a list in JSON"),
        ("ROLES", ",", "name at least one of api, dispatch, timers, media"),
        ("MEDIA", "maybe", "must be 'local' or 'off'"),
        ("MEDIA_HOST", "kein.host", "must be an IP address of this machine, 0.0.0.0 or ::"),
        ("MEDIA_PUBLIC_IP", "sfu.example.com", "must be IP addresses"),
        ("MEDIA_PORTS", "40000", "must be two ports between 1 and 65535, the lower one first: 40000-40099"),
        ("MEDIA_PORTS", "40099-40000", "must be two ports between 1 and 65535, the lower one first: 40000-40099"),
        ("MEDIA_WARM_WORKERS", "-1", "must be at least 0"),
        ("SECRET_KEYS", "long enough for a key,hunter2", "each must have at least 16 characters"),
    ],
)
def test_a_wrong_variable_is_told_in_plain_words(no_settings, monkeypatch, name, value, sentence):
    monkeypatch.setenv(f"HOOKSWITCH_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == f"HOOKSWITCH_{name}: {sentence}"


def test_media_workers_are_told_their_ports_addresses_and_folder(no_settings, monkeypatch):
    monkeypatch.setenv("HOOKSWITCH_MEDIA_PUBLIC_IP", "203.0.113.7, 2001:db8::7")
    monkeypatch.setenv("HOOKSWITCH_MEDIA_PORTS", "40000-40099")
    workers = load_settings(data_dir="data").media_workers()
    assert workers.addresses == ("203.0.113.7", "2001:db8::7")
    assert (workers.low_port, workers.high_port) == (40_000, 40_099)
    assert workers.folder.parts == ("data", "media")
    monkeypatch.setenv("HOOKSWITCH_MEDIA_PORTS", "")
    assert (load_settings().media_workers().low_port, load_settings().media_workers().high_port) == (0, 0)


@pytest.mark.parametrize(
    ("given", "others"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1", "public_url": "http://app.localhost:8080"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "calls"}, True),
        ({"public_url": "https://calls.example.com"}, True),
    ],
)
def test_whether_other_machines_are_served(no_settings, given, others):
    assert load_settings(**given).serves_others is others


def test_ice_servers_are_read_from_the_environment_and_from_the_file(no_settings, monkeypatch):
    (no_settings / "hookswitch.toml").write_text('ice_servers = [{urls = ["stun:a.example.com"]}]\n')
    assert load_settings().ice_servers[0].urls == ("stun:a.example.com",)
    monkeypatch.setenv("HOOKSWITCH_ICE_SERVERS", '[{"urls": ["stun:b.example.com"]}]')
    assert load_settings().ice_servers[0].urls == ("stun:b.example.com",)


def test_the_first_key_seals_and_all_open(no_settings, monkeypatch):
    monkeypatch.setenv("HOOKSWITCH_SECRET_KEYS", "the new key of the tests, the old key of the tests,")
    settings = load_settings()
    assert "key of the tests" not in repr(settings)
    new, old = Vault(["the new key of the tests"]), Vault(["the old key of the tests"])
    assert new.open(settings.vault().seal(b"x")) == b"x"
    assert settings.vault().open(old.seal(b"x")) == b"x"
    assert settings.vault("the key of the data folder").open(Vault(["the key of the data folder"]).seal(b"x")) == b"x"
    with pytest.raises(UnsealedError):
        settings.vault().open(Vault(["the key of the data folder"]).seal(b"x"))
    monkeypatch.setenv("HOOKSWITCH_SECRET_KEYS", "")
    assert load_settings().vault() is None


def test_what_kubernetes_adds_to_the_environment_is_no_misspelt_setting():
    refuse_unknown({"HOOKSWITCH_SERVICE_HOST": "10.0.0.1", "HOOKSWITCH_PORT_8080_TCP": "x", "HOOKSWITCH_PORT": "1"})


def test_a_database_address_is_taken_in_the_usual_forms(no_settings):
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        url = load_settings(database_url=f"{scheme}://u@h/d").database_url
        assert url.get_secret_value() == "postgresql+asyncpg://u@h/d"
        assert "u@h" not in repr(url)


def test_every_setting_is_documented():
    table = settings_table()
    for name, field in Settings.model_fields.items():
        assert f"`HOOKSWITCH_{name.upper()}`" in table
        assert field.description, name
    documented = [path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]]
    assert any(table in text for text in documented), "paste the output of service.config.settings_table()"
