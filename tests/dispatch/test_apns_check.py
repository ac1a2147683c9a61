"""What the doctor says of an app's credentials for APNs."""

from datetime import UTC, datetime
from functools import partial

import pytest

from service.config import SettingsError, load_settings
from service.core.vocabulary import Channel
from service.dispatch.push.apns import ApnsConfig
from service.store.checkup import Finding
from service.wire.credentials import Granted
from tests.dispatch.phones import Phones, phones_of
from tests.fakes.apple import apns_credentials
from tests.fixtures.certificates import certificate


@pytest.fixture
def credentials():
    return apns_credentials()


@pytest.fixture
def opened(database, tmp_path, credentials):
    return partial(phones_of, database, tmp_path, credentials)


async def checked(phones, **wrong):
    body = phones.credentials.model_copy(update=wrong)
    return await phones.channel.check(Granted("app", Channel.APNS, "production", body), datetime.now(UTC))


async def test_good_credentials_are_found_good_without_waking_anybody(opened):
    async with opened() as phones:
        assert await checked(phones) == Finding(
            "APNs (production), key KEY1234567: Apple takes the key for com.example.phone"
        )
        (got,) = await phones.server.got(1)
    assert got["token"] == "0" * 64
    assert got["reason"] == "BadDeviceToken"


async def test_wrong_credentials_are_named(opened):
    async with opened() as phones:
        none = await checked(phones, private_key="-----BEGIN nothing")
        assert (none.fault, "no P-256 key in PEM" in none.text, "BEGIN" in none.text) == (True, True, False)
        for wrong in ({"team_id": "OTHERTEAM1"}, {"key_id": "OTHERKEY12"}):
            refused = await checked(phones, **wrong)
            assert refused.fault
            assert "Apple does not accept the key" in refused.text
        topic = await checked(phones, bundle_id="com.example.typo")
        assert topic.fault
        assert "the bundle id is not one of its team" in topic.text


async def test_a_server_that_cannot_be_asked_is_said_to_be_that(database, credentials):
    phones = Phones(database, credentials, ApnsConfig(url="https://127.0.0.1:1"))
    said = await checked(phones)
    await phones.channel.close()
    assert said.fault
    assert said.text.startswith("APNs (production), key KEY1234567: ")
    assert "refused" in said.text


def test_where_apple_is_reached_is_a_setting(tmp_path):
    assert load_settings().apns() == ApnsConfig()
    certificate(tmp_path, "localhost")
    pem = tmp_path / "server.pem"
    config = load_settings(apns_url="https://proxy.example.com/apns/", apns_ca=str(pem)).apns()
    assert (config.url, config.lines.ca) == ("https://proxy.example.com/apns", pem.read_bytes())


def test_an_address_that_is_none_and_certificates_that_are_none_are_refused(tmp_path):
    for url in ("ftp://example.com", "example.com", "https://example.com/?a=b"):
        with pytest.raises(SettingsError, match=r"^--apns-url: "):
            load_settings(apns_url=url)
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=r"^--apns-ca: must be a file of certificates in PEM"):
            load_settings(apns_ca=str(tmp_path / name))
