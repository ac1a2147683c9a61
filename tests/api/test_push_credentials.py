"""What the app signs in with to push services: uploaded, named without being given away, removed."""

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.core.vocabulary import Channel
from service.store.credentials import CredentialBook
from service.wire.sealing import Vault
from tests.api.front import VAULT, front_door, problem
from tests.fakes.apple import pem
from tests.fixtures.grants import grants, service_account

EC = pem(ec.generate_private_key(ec.SECP256R1()))
CHANNELS = ("apns", "fcm", "webpush", "email", "message")


def at(channel, environment="production"):
    return f"/v1/push-credentials/{channel}/{environment}"


async def put(front, channel, environment="production", /, **changes):
    return await front.http.put(at(channel, environment), json={**grants(EC)[channel], **changes})


async def listed(front):
    answer = await front.http.get("/v1/push-credentials")
    assert answer.status_code == 200
    assert answer.json()["next_cursor"] is None
    return answer.json()["items"]


def secrets_of(channel):
    """What must never be told again."""
    body = grants(EC)[channel]
    return {
        "apns": [EC.splitlines()[1]],
        "fcm": [service_account()["private_key"].splitlines()[1]],
        "webpush": [],
        "email": ["hunter2"],
        "message": ["hunter2"],
    }[channel] + [str(body.get("password", "hunter2"))]


@pytest.mark.parametrize("channel", CHANNELS)
async def test_they_are_taken_named_replaced_and_removed(front, channel):
    made = await put(front, channel)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["channel"], told["environment"], told["works"], told["problem"]) == (channel, "production", None, None)
    assert told["about"]
    again = await put(front, channel)
    assert again.status_code == 200
    (there,) = await listed(front)
    assert there == {name: value for name, value in again.json().items() if name != "secret"}
    for answer in (made, again, await front.http.get("/v1/push-credentials")):
        assert [secret for secret in secrets_of(channel) if secret in answer.text] == []
    assert (await front.http.delete(at(channel))).status_code == 204
    problem(await front.http.delete(at(channel)), 404, "not_found")
    assert await listed(front) == []


async def test_nothing_secret_is_kept_in_the_clear(front):
    for channel in CHANNELS:
        assert (await put(front, channel)).status_code == 201
    async with front.database.hot() as driver:
        kept = await driver.fetchval(
            "SELECT string_agg(c::text || encode(sealed, 'escape'), '') FROM push_credentials c"
        )
    assert [secret for channel in CHANNELS for secret in secrets_of(channel) if secret in kept] == []


async def test_apple_has_two_environments_and_each_has_its_own(front):
    for environment in ("production", "sandbox"):
        assert (await put(front, "apns", environment, key_id=environment)).status_code == 201
    assert [there["about"]["key_id"] for there in await listed(front)] == ["production", "sandbox"]
    problem(await put(front, "apns", "staging"), 404, "not_found")
    for channel in CHANNELS[1:]:
        problem(await put(front, channel, "sandbox"), 404, "not_found")
    problem(await front.http.put(at("sms"), json={}), 404, "not_found")
    problem(await front.http.delete(at("sms")), 404, "not_found")
    refused = await front.http.post(at("apns"), json={})
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "DELETE, PUT"


@pytest.mark.parametrize(
    ("channel", "changes", "where"),
    [
        ("apns", {"private_key": "hunter2"}, "body.private_key"),
        ("apns", {"private_key": None}, "body.private_key"),
        ("apns", {"key_id": None}, "body.key_id"),
        ("apns", {"channel": "fcm"}, "body.channel"),
        ("fcm", {"service_account": "hunter2"}, "body.service_account"),
        ("fcm", {"service_account": service_account(private_key="hunter2")}, "body.service_account.private_key"),
        ("fcm", {"service_account": service_account(type="authorized_user")}, "body.service_account.type"),
        ("webpush", {"subject": "hunter2"}, "body.subject"),
        ("webpush", {"private_key": "hunter2"}, "body.private_key"),
        ("email", {"host": "hunter2"}, "body.host"),
        ("email", {"sender": "hunter2"}, "body.sender"),
        ("email", {"passwort": "hunter2"}, "body.passwort"),
        ("message", {"url": "http://10.0.0.1/hunter2"}, "body.url"),
        ("message", {"secret": "hunter2"}, "body.secret"),
        ("message", {"apprise_url": "json://hunter2"}, "body"),
    ],
)
async def test_a_wrong_paste_is_told_where_and_why_and_never_repeated(front, channel, changes, where):
    refused = await put(front, channel, **changes)
    told = problem(refused, 422, "invalid_request")
    assert told["errors"][0]["where"] == where
    assert told["detail"].startswith(f"{where}: ")
    assert "hunter2" not in refused.text
    assert await listed(front) == []


async def test_a_gateway_s_secret_is_made_and_told_once(front):
    made = (await put(front, "message")).json()
    assert made["secret"].startswith("whsec_")
    again = await put(front, "message", url="https://other.example.com/sms")
    assert again.json()["secret"] is None
    assert again.json()["about"] == {"url": "https://other.example.com/…"}
    found = await CredentialBook(front.database, VAULT, front.clock).find(
        front.credentials.app_id, Channel.MESSAGE, "production"
    )
    assert (found.body.url, found.body.secret) == ("https://other.example.com/sms", made["secret"])


async def test_browsers_subscribe_with_a_key_that_stays(front):
    url = "/v1/push-credentials/webpush/production/public-key"
    ana = front.user("ana")
    problem(await ana.get(url), 404, "not_found")
    made = (await put(front, "webpush")).json()
    key = (await ana.get(url)).json()["public_key"]
    assert key == made["about"]["public_key"]
    assert len(key) == 87
    await put(front, "webpush", subject="https://example.com/contact")
    assert (await front.http.get(url)).json() == {"public_key": key}


async def test_uploads_at_the_same_time_make_one_key(front):
    made = await asyncio.gather(*(put(front, "webpush") for _ in range(6)))
    assert sorted(answer.status_code for answer in made) == [200] * 5 + [201]
    assert len({answer.json()["about"]["public_key"] for answer in made}) == 1


async def test_only_backends_see_them_and_each_its_own(front, other):
    await put(front, "webpush")
    ana = front.user("ana")
    problem(await ana.get("/v1/push-credentials"), 403, "not_authorized")
    problem(await ana.put(at("webpush"), json={"subject": "mailto:a@example.com"}), 403, "not_authorized")
    problem(await ana.delete(at("webpush")), 403, "not_authorized")
    assert await listed(other) == []
    problem(await other.http.delete(at("webpush")), 404, "not_found")
    problem(await other.http.get("/v1/push-credentials/webpush/production/public-key"), 404, "not_found")
    assert len(await listed(front)) == 1


async def test_without_a_key_of_its_own_the_service_says_which_setting_is_missing(database):
    async with front_door(database, vault=None) as front:
        refused = problem(await put(front, "webpush"), 503, "service_unavailable")
        assert "HOOKSWITCH_SECRET_KEYS" in refused["detail"]
        assert await listed(front) == []


async def test_what_cannot_be_opened_is_told_with_its_reason(database):
    async with front_door(database) as front:
        await put(front, "webpush")
        for vault, why in ((Vault(["another key of the tests"]), "not among those"), (None, "HOOKSWITCH_SECRET_KEYS")):
            async with front_door(database, vault=vault) as elsewhere:
                found = (await elsewhere.client(front.credentials.api_key).get("/v1/push-credentials")).json()["items"]
                assert (found[0]["works"], why in found[0]["problem"]) == (False, True)
        async with front_door(database, vault=Vault(["another key of the tests"])) as elsewhere:
            client = elsewhere.client(front.credentials.api_key)
            assert (await client.put(at("webpush"), json=grants(EC)["webpush"])).status_code == 200
            assert (await client.get("/v1/push-credentials")).json()["items"][0]["works"] is None
