import orjson

from service.core.rights import TokenKind
from service.store.devices import MOST_DEVICES
from tests.api.front import problem

TOKEN = "0123456789abcdef" * 4
ALERT_TOKEN = "fedcba9876543210" * 4
APNS = {
    "provider": "apns",
    "token": TOKEN,
    "alert_token": ALERT_TOKEN,
    "topic": "com.example.app.voip",
    "environment": "sandbox",
}
PHONE = {"platform": "ios", "push": APNS, "hardware_id": "serial-1", "app_version": "1.2.3"}
SUBSCRIPTION = {
    "endpoint": "https://push.example.com/wpush/secret-path",
    "expirationTime": None,
    "keys": {"p256dh": "BNcR_d-f", "auth": "tBHItJI5"},
}
URL = "/v1/users/anna/devices"


async def test_a_put_registers_and_then_replaces(front):
    made = await front.http.put(f"{URL}/phone", json=PHONE)
    assert made.status_code == 201
    body = made.json()
    assert (body["device_id"], body["user_id"], body["platform"]) == ("phone", "anna", "ios")
    assert (body["hardware_id"], body["app_version"], body["last_seen_at"]) == ("serial-1", "1.2.3", None)
    assert (await front.http.get(f"{URL}/phone")).json() == body
    again = await front.http.put(f"{URL}/phone", json={"platform": "android"})
    assert again.status_code == 200
    body = again.json()
    assert (body["platform"], body["push"]["provider"], body["app_version"]) == ("android", "none", None)
    assert (await front.http.get(URL)).json() == {"items": [again.json()], "next_cursor": None}


async def test_what_wakes_the_device_is_never_shown_again(front):
    answers = [
        await front.http.put(f"{URL}/phone", json=PHONE),
        await front.http.put(
            f"{URL}/web", json={"platform": "web", "push": {"provider": "webpush", "subscription": SUBSCRIPTION}}
        ),
        await front.http.put(
            f"{URL}/short", json={"platform": "android", "push": {"provider": "fcm", "token": "abcdefgh"}}
        ),
        await front.http.get(URL),
        await front.http.get(f"{URL}/web"),
    ]
    told = "".join(answer.text for answer in answers)
    secrets = (TOKEN, ALERT_TOKEN, 'abcd"', "efgh", "secret-path", "BNcR_d-f", "tBHItJI5")
    assert not any(secret in told for secret in secrets)
    phone, web, short = (answer.json()["push"] for answer in answers[:3])
    assert (phone["provider"], phone["token"], phone["topic"]) == ("apns", "…cdef", "com.example.app.voip")
    assert phone["alert_token"] == "…3210"
    assert (web["provider"], web["endpoint"], web["token"]) == ("webpush", "https://push.example.com/…", None)
    assert short["token"] == "…"


BAD = (
    {},
    {"platform": "pager"},
    {"platform": "ios", "push": "apns"},
    {"platform": "ios", "push": {}},
    {"platform": "ios", "push": {"provider": "sms"}},
    {"platform": "ios", "push": {"provider": "apns"}},
    {"platform": "ios", "push": {"provider": "fcm", "token": ""}},
    {"platform": "ios", "push": {"provider": "fcm", "token": "a b"}},
    {"platform": "ios", "push": {"provider": "fcm", "token": "x" * 4097}},
    {"platform": "ios", "push": {"provider": "none", "token": "x"}},
    {"platform": "web", "push": {"provider": "webpush", "token": "x"}},
    {"platform": "web", "push": {"provider": "webpush"}},
    {"platform": "web", "push": {"provider": "apns", "token": "x", "subscription": SUBSCRIPTION}},
    {"platform": "web", "push": {"provider": "webpush", "subscription": {**SUBSCRIPTION, "keys": {}}}},
    {
        "platform": "web",
        "push": {"provider": "webpush", "subscription": {**SUBSCRIPTION, "endpoint": "http://10.0.0.1/"}},
    },
    {"platform": "web", "push": {"provider": "webpush", "subscription": {**SUBSCRIPTION, "endpoint": "file:///x"}}},
    {"platform": "ios", "push": {**APNS, "environment": "moon"}},
    {"platform": "ios", "push": {**APNS, "alert_token": "a b"}},
    {"platform": "ios", "push": {**APNS, "token": None}},
    {"platform": "android", "push": {"provider": "fcm", "token": "x", "alert_token": "y"}},
    {"platform": "ios", "push": {**APNS, "sound": "x"}},
    {"platform": "ios", "colour": "red"},
    {"platform": "ios", "hardware_id": ""},
    {"platform": "ios", "app_version": "x" * 65},
    {"platform": "ios", "app_version": "1\n2"},
)


async def test_a_registration_that_does_not_fit_is_refused_and_not_repeated(front):
    for body in BAD:
        refused = problem(await front.http.put(f"{URL}/phone", json=body), 422, "invalid_request")
        assert TOKEN not in orjson.dumps(refused).decode()
    problem(await front.http.get(f"{URL}/phone"), 404, "not_found")


async def test_none_reads_back_as_none_and_is_what_is_left_out(front):
    for body in ({"platform": "desktop", "push": {"provider": "none"}}, {"platform": "desktop"}):
        told = (await front.http.put(f"{URL}/pc", json=body)).json()
        assert {name: value for name, value in told["push"].items() if value is not None} == {"provider": "none"}
        assert (await front.http.get(f"{URL}/pc")).json()["push"] == told["push"]


async def test_devices_come_in_pages(front):
    for name in "cab":
        await front.http.put(f"{URL}/{name}", json={"platform": "tv"})
    first = (await front.http.get(URL, params={"limit": 2})).json()
    second = (await front.http.get(URL, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [device["device_id"] for device in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None


async def test_so_many_devices_and_no_more(front):
    for number in range(MOST_DEVICES):
        await front.http.put(f"{URL}/{number}", json={"platform": "web"})
    problem(await front.http.put(f"{URL}/more", json={"platform": "web"}), 409, "capacity_exceeded")
    assert (await front.http.put(f"{URL}/1", json={"platform": "tv"})).status_code == 200


async def test_registering_makes_the_user_where_the_app_lets_it(front):
    await front.http.put(f"{URL}/phone", json=PHONE)
    assert (await front.http.get("/v1/users/anna")).status_code == 200
    await front.set(auto_create_users=False)
    problem(await front.http.put("/v1/users/ben/devices/phone", json=PHONE), 404, "not_found")
    assert (await front.http.put(f"{URL}/tablet", json=PHONE)).status_code == 201


async def test_57_an_unregistered_device_stops_ringing(front):
    await front.http.put("/v1/users/ben/devices/phone", json=PHONE)
    await front.http.put(
        "/v1/users/ben/devices/tablet", json={"platform": "android", "push": {"provider": "fcm", "token": "t"}}
    )
    call = await front.call("anna", "ben")
    assert (await front.http.delete("/v1/users/ben/devices/phone")).status_code == 204
    rings = {
        ring.device_id: (ring.open, ring.stop_reason) for ring in (await front.aggregate(call["id"])).leg("ben").rings
    }
    assert rings == {"phone": (False, "canceled"), "tablet": (True, None)}
    problem(await front.http.delete("/v1/users/ben/devices/phone"), 404, "not_found")


async def test_another_apps_devices_are_not_there(front, other):
    await front.http.put(f"{URL}/phone", json=PHONE)
    problem(await other.http.get(f"{URL}/phone"), 404, "not_found")
    problem(await other.http.delete(f"{URL}/phone"), 404, "not_found")
    assert (await other.http.get(URL)).json()["items"] == []
    assert (await front.http.get(f"{URL}/phone")).status_code == 200


async def test_a_user_token_is_for_its_own_devices(front):
    async with front.user("anna") as anna, front.user("anna", kind=TokenKind.GUEST) as guest:
        assert (await anna.put(f"{URL}/phone", json=PHONE)).status_code == 201
        assert len((await anna.get(URL)).json()["items"]) == 1
        assert (await guest.get(f"{URL}/phone")).status_code == 200
        problem(await guest.delete(f"{URL}/phone"), 403, "not_authorized")
        assert (await anna.delete(f"{URL}/phone")).status_code == 204
        for path in ("/v1/users/ben/devices/phone", "/v1/users/ben/devices"):
            problem(await anna.get(path), 403, "not_authorized")
        problem(await anna.put("/v1/users/ben/devices/phone", json=PHONE), 403, "not_authorized")
        problem(await anna.delete("/v1/users/ben/devices/phone"), 403, "not_authorized")


async def test_only_apple_has_two_environments(front):
    """A sandbox of any other provider would have no credentials."""
    url = "/v1/users/ana/devices/phone"
    push = {"provider": "fcm", "token": "t" * 20, "environment": "sandbox"}
    answer = await front.http.put(url, json={"platform": "android", "push": push})
    assert (answer.status_code, answer.json()["push"]["environment"]) == (201, None)
    answer = await front.http.put(url, json={"platform": "ios", "push": {**push, "provider": "apns"}})
    assert answer.json()["push"]["environment"] == "sandbox"
