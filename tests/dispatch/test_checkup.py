"""What the doctor says of the apps' credentials, in plain words and without the secrets."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.core.vocabulary import Channel
from service.dispatch.checkup import LINKS, NO_KEY_YET, NOBODY_WOKEN, examine_credentials, notes
from service.dispatch.push.channel import Outcome, Receipt
from service.store.apps import create_app
from service.store.credentials import every_credential, put_credentials
from service.wire.credentials import EmailCredentials, Granted
from service.wire.sealing import Vault
from tests.dispatch.notices import NOW
from tests.fakes.apple import apns_credentials, pem
from tests.fakes.channel import FakeChannel

VAULT = Vault(["a key of the tests only"])
MAIL = EmailCredentials(host="mail.example.com", sender="calls@example.com", username="me", password="hunter2")
REFUSED = Receipt(Outcome.MISCONFIGURED, 403, reason="InvalidProviderToken", detail="Apple does not know this key")


@pytest.fixture
async def app(database):
    async with database.begin() as connection:
        return (await create_app(connection, "shop")).app_id


async def examined(database, *script, vault=VAULT):
    """What is said of all there is, by channels that do as the script says."""
    async with database.begin() as connection:
        kept = await every_credential(connection, vault)
    ways = {channel: FakeChannel(*script) for channel in Channel}
    found = await examine_credentials(kept, ways, NOW, allow_private=False)
    assert all("hunter2" not in each.text for each in found)
    return [(each.mark, each.text) for each in found]


async def keep(database, app, body, vault=VAULT, environment="production"):
    async with database.begin() as connection:
        await put_credentials(connection, vault, Granted(app, body.channel, environment, body), {})


async def test_what_works_is_told_by_whoever_knows(database, app):
    await keep(database, app, apns_credentials())
    await keep(database, app, apns_credentials(), environment="sandbox")
    told = [("ok", f"app shop ({app}): the fake says taken")] * 2
    assert await examined(database) == told


async def test_what_a_provider_refuses_is_a_fault(database, app):
    await keep(database, app, apns_credentials())
    assert await examined(database, REFUSED) == [("FAULT", f"app shop ({app}): the fake says {REFUSED.detail}")]


async def test_what_cannot_be_opened_is_not_tried(database, app):
    await keep(database, app, MAIL)
    [(mark, text)] = await examined(database, vault=Vault(["another key of the tests"]))
    assert mark == "FAULT"
    assert text.startswith(f"app shop ({app}): email (production): they were encrypted with a key that is not among")
    [(mark, text)] = await examined(database, vault=None)
    assert (mark, "set HOOKSWITCH_SECRET_KEYS" in text) == ("FAULT", True)


async def test_what_an_older_version_kept_is_told_too(database, app):
    await keep(database, app, MAIL)
    async with database.hot() as driver:
        await driver.execute("UPDATE push_credentials SET sealed = $1", VAULT.seal(b'{"channel": "email"}'))
    [(mark, text)] = await examined(database)
    assert (mark, text.endswith("they do not fit this version of the service: upload them again")) == ("FAULT", True)


async def test_a_key_that_is_none_is_told_before_anybody_is_asked(database, app):
    other = pem(ec.generate_private_key(ec.SECP384R1()))
    await keep(database, app, apns_credentials(private_key=other))
    told = "apns (production): private_key: is no P-256 key in PEM, as Apple's .p8 files hold it"
    assert await examined(database) == [("FAULT", f"app shop ({app}): {told}")]


async def test_what_is_left_out_as_the_settings_are(database, app):
    assert [each.text for each in notes([], sealing=True, public_url=None)] == [NOBODY_WOKEN]
    assert [each.text for each in notes([], sealing=False, public_url=None)] == [NO_KEY_YET]
    await keep(database, app, MAIL)
    async with database.begin() as connection:
        kept = await every_credential(connection, VAULT)
    (found,) = notes(kept, sealing=True, public_url=None)
    assert (found.text, found.mark) == (LINKS, "note")
    assert notes(kept, sealing=True, public_url="https://calls.example.com") == []
