"""What the doctor says of push credentials, from the command line."""

import re

import pytest

from service.assembly import channels
from service.core.vocabulary import Channel
from service.store.credentials import take_credentials
from service.wire.credentials import EmailCredentials, WebPushCredentials
from service.wire.sealing import Vault
from tests.dispatch.notices import by_mail
from tests.fakes.mailroom import PASSWORD, USER, mail_server
from tests.fixtures.serving import app_in, settings_for
from tests.stories.test_serving import command

pytestmark = pytest.mark.timeout(180)  # starts processes, on a machine that may be busy

KEY = "a key of the tests only"


async def doctor(db_url, tmp_path, **settings):
    code, out, _ = await command("doctor", "--port", "0", database_url=db_url, data_dir=tmp_path, **settings)
    return code, out


async def test_each_credential_of_each_app_is_told_of(db_url, database, tmp_path):
    shop = await app_in(db_url)
    async with mail_server(sign_in=False) as server, database.begin() as connection:
        await take_credentials(
            connection, Vault([KEY]), shop.app_id, "production", WebPushCredentials(subject="mailto:a@example.com")
        )
        wrong = by_mail(server.port, username=USER, password=PASSWORD[::-1]).body
        await take_credentials(
            connection, Vault([KEY]), shop.app_id, "production", EmailCredentials(**wrong.model_dump())
        )
        await connection.commit()
        code, out = await doctor(db_url, tmp_path, secret_keys=KEY)
    assert code == 1
    assert re.search(
        rf"^ok +app test \({shop.app_id}\): Web Push \(production\): .*mailto:a@example.com", out, re.MULTILINE
    )
    told = rf"^FAULT +app test \({shop.app_id}\): e-mail \(production\), 127.0.0.1:{server.port}: "
    assert re.search(told, out, re.MULTILINE), out
    assert PASSWORD[::-1] not in out
    assert re.search(r"^note +HOOKSWITCH_PUBLIC_URL is not set: the links in what is pushed", out, re.MULTILINE)
    code, out = await doctor(db_url, tmp_path, public_url="https://calls.example.com")
    assert code == 1
    assert len(re.findall(r"^FAULT +app test .*: set HOOKSWITCH_SECRET_KEYS$", out, re.MULTILINE)) == 2
    assert "HOOKSWITCH_PUBLIC_URL" not in out


async def test_without_a_key_alerts_of_every_channel_are_looked_at_and_say_what_is_missing(database):
    ways = channels(settings_for(), database, None)
    assert set(ways) == set(Channel)
    for way in ways.values():
        await way.close()
