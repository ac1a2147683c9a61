from service.core.rights import TokenKind
from tests.api.front import problem

FIELDS = {
    "user_id", "state", "activity", "busy_with", "do_not_disturb", "away", "reachable", "devices", "since",
    "last_seen_at", "source", "expires_at", "seq", "second_ring",
}  # fmt: skip


async def presence(front, user_id, **query):
    answer = await front.http.get(f"/v1/users/{user_id}/presence", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def states(front, *users):
    items = (await front.http.get("/v1/presence", params={"user_id": users})).json()["items"]
    return {item["user_id"]: (item["state"], item["activity"]) for item in items}


async def test_presence_has_the_shape_of_the_vocabulary(front):
    await front.http.put("/v1/users/anna", json={"name": "Anna", "do_not_disturb": True, "email": "a@example.com"})
    await front.http.put("/v1/users/anna/devices/phone", json={"platform": "ios", "app_version": "1.2"})
    told = await presence(front, "anna")
    assert told.keys() == FIELDS
    assert told == told | {
        "user_id": "anna",
        "state": "offline",
        "activity": "idle",
        "busy_with": [],
        "do_not_disturb": True,
        "away": False,
        "reachable": "fallback",
        "since": None,
        "source": "service",
        "expires_at": None,
    }
    assert told["devices"] == [
        {
            "device_id": "phone",
            "platform": "ios",
            "state": "offline",
            "call_id": None,
            "app_version": "1.2",
            "last_seen_at": None,
        }
    ]


async def test_busy_says_with_whom_and_on_which_device(front):
    await front.http.put("/v1/users/ben", json={"name": "Ben"})
    await front.online("anna", "web")
    await front.online("ben", "phone")
    call = await front.call("anna", "ben", device_id="web")
    assert await states(front, "anna", "ben") == {"anna": ("busy", "dialing"), "ben": ("online", "ringing")}
    await front.post(f"/calls/{call['id']}/answer", {"user_id": "ben", "device_id": "phone"})
    anna, ben = await presence(front, "anna"), await presence(front, "ben")
    assert (anna["state"], anna["activity"], ben["state"]) == ("busy", "connecting", "busy")
    assert anna["busy_with"] == [{"call_id": call["id"], "user_id": "ben", "name": "Ben"}]
    assert [(d["device_id"], d["state"], d["call_id"]) for d in ben["devices"]] == [("phone", "busy", call["id"])]
    await front.post(f"/calls/{call['id']}/hangup", {"user_id": "ben"})
    assert await states(front, "anna", "ben") == dict.fromkeys(["anna", "ben"], ("online", "idle"))


async def test_many_are_asked_for_at_once_and_unknown_ones_left_out(front):
    for name in "anna ben carl".split():
        await front.http.put(f"/v1/users/{name}", json={})
    asked = {"user_id": ["carl", "nobody", "anna", "carl"]}
    answer = (await front.http.get("/v1/presence", params=asked)).json()
    assert [item["user_id"] for item in answer["items"]] == ["carl", "anna"]
    assert answer["next_cursor"] is None
    problem(await front.http.get("/v1/users/nobody/presence"), 404, "not_found")


async def test_everybody_comes_in_pages(front):
    for name in "carl anna ben".split():
        await front.http.put(f"/v1/users/{name}", json={})
    first = (await front.http.get("/v1/presence", params={"limit": 2})).json()
    second = (await front.http.get("/v1/presence", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["user_id"] for item in first["items"] + second["items"]] == ["anna", "ben", "carl"]
    assert second["next_cursor"] is None


async def test_so_many_users_and_no_more(front):
    many = [f"u{number}" for number in range(200)]
    assert (await front.http.get("/v1/presence", params={"user_id": many, "format": "csta"})).json()["items"] == []
    problem(await front.http.get("/v1/presence", params={"user_id": [*many, "x"]}), 422, "invalid_request")


async def test_a_format_adds_the_word_of_that_system(front):
    await front.online("anna")
    await front.call("anna", "ben")
    words = {}
    for form in ("csta", "tapi", "asterisk", "graph"):
        told = await presence(front, "anna", format=form)
        assert told.keys() == FIELDS | {"mapped"}
        words[form] = told["mapped"]
    assert words == {"csta": "initiated", "tapi": "DIALING", "asterisk": "INUSE", "graph": "Busy / InACall"}
    items = (await front.http.get("/v1/presence", params={"user_id": "ben", "format": "asterisk"})).json()["items"]
    assert [item["mapped"] for item in items] == ["UNAVAILABLE"]
    assert (await presence(front, "ben", format="csta"))["mapped"] is None
    for path in ("/v1/presence", "/v1/users/anna/presence"):
        problem(await front.http.get(path, params={"format": "morse"}), 422, "invalid_request")


async def test_another_system_says_that_somebody_is_busy(front):
    said = {"source": "desk-phone", "busy_with": [{"user_id": "+4930123", "name": "Eve"}], "expires_in_s": 60}
    answer = await front.http.put("/v1/users/anna/presence", json=said)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["state"], told["activity"], told["source"]) == ("busy", "in_call", "external:desk-phone")
    assert told["busy_with"] == [{"call_id": None, "user_id": "+4930123", "name": "Eve"}]
    assert told["expires_at"].endswith("Z")
    assert await presence(front, "anna") == told
    told = (
        await front.http.put("/v1/users/anna/presence", json={"source": "cal", "away": True, "expires_in_s": 9})
    ).json()
    assert (told["state"], told["away"]) == ("busy", True)
    gone = await front.http.delete("/v1/users/anna/presence", params={"source": "desk-phone"})
    assert (gone.status_code, gone.content) == (204, b"")
    told = await presence(front, "anna")
    assert (told["state"], told["away"], told["source"]) == ("offline", True, "service")
    assert (await front.http.delete("/v1/users/anna/presence", params={"source": "desk-phone"})).status_code == 204
    problem(await front.http.delete("/v1/users/nobody/presence", params={"source": "x"}), 404, "not_found")


BAD = (
    {"source": "x", "expires_in_s": 60},
    {"source": "x", "away": True},
    {"away": True, "expires_in_s": 60},
    {"source": "service", "away": True, "expires_in_s": 60},
    {"source": "", "away": True, "expires_in_s": 60},
    {"source": "a b", "away": True, "expires_in_s": 60},
    {"source": "x", "away": True, "expires_in_s": 0},
    {"source": "x", "away": True, "expires_in_s": -1},
    {"source": "x", "away": True, "expires_in_s": 31 * 86400 + 1},
    {"source": "x", "away": True, "expires_in_s": "60"},
    {"source": "x", "away": True, "expires_in_s": 1.5},
    {"source": "x", "away": "yes", "expires_in_s": 60},
    {"source": "x", "state": "here", "expires_in_s": 60},
    {"source": "x", "activity": "sleeping", "expires_in_s": 60},
    {"source": "x", "state": "offline", "activity": "in_call", "expires_in_s": 60},
    {"source": "x", "state": "online", "busy_with": [{"user_id": "ben"}], "expires_in_s": 60},
    {"source": "x", "busy_with": ["ben"], "expires_in_s": 60},
    {"source": "x", "busy_with": [{"user_id": "b"}] * 51, "expires_in_s": 60},
    {"source": "x", "state": "busy", "expires_in_s": 60, "colour": "red"},
)


async def test_what_makes_no_sense_is_refused(front):
    for body in BAD:
        problem(await front.http.put("/v1/users/anna/presence", json=body), 422, "invalid_request")
    for query in ("", "source=", "source=a%20b", "source=a&source=b", "source=a&x=1"):
        problem(await front.http.delete(f"/v1/users/anna/presence?{query}"), 422, "invalid_request")
    problem(await front.http.get("/v1/users/anna/presence"), 404, "not_found")


async def test_an_app_may_know_its_users_beforehand(front):
    await front.set(auto_create_users=False)
    said = {"source": "x", "away": True, "expires_in_s": 60}
    problem(await front.http.put("/v1/users/anna/presence", json=said), 404, "not_found")
    await front.http.put("/v1/users/anna", json={})
    assert (await front.http.put("/v1/users/anna/presence", json=said)).json()["away"]


async def test_another_apps_users_have_no_presence_here(front, other):
    await front.http.put("/v1/users/anna", json={})
    problem(await other.http.get("/v1/users/anna/presence"), 404, "not_found")
    assert (await other.http.get("/v1/presence")).json()["items"] == []
    assert (await other.http.get("/v1/presence", params={"user_id": "anna"})).json()["items"] == []


async def test_a_user_token_sees_and_says_its_own(front):
    for name in ("anna", "ben"):
        await front.http.put(f"/v1/users/{name}", json={})
    said = {"source": "app", "away": True, "expires_in_s": 60}
    async with front.user("anna") as anna:
        assert (await anna.put("/v1/users/anna/presence", json=said)).json()["away"]
        assert (await anna.get("/v1/users/anna/presence")).json()["away"]
        assert [item["user_id"] for item in (await anna.get("/v1/presence")).json()["items"]] == ["anna"]
        problem(await anna.put("/v1/users/ben/presence", json=said), 403, "not_authorized")
        problem(await anna.delete("/v1/users/ben/presence", params={"source": "app"}), 403, "not_authorized")


async def test_a_user_token_sees_others_and_their_company_if_the_app_says_so(front):
    await front.online("ben", "phone")
    call = await front.talking("cleo", "ben", device_id="web")
    company = [{"call_id": call["id"], "user_id": "cleo", "name": None}]
    async with front.user("anna") as anna, front.user("ben") as ben:
        discreet = (await anna.get("/v1/users/ben/presence", params={"format": "tapi"})).json()
        assert (discreet["state"], discreet["activity"], discreet["mapped"]) == ("busy", "connecting", "CONNECTED")
        assert (discreet["busy_with"], [device["call_id"] for device in discreet["devices"]]) == (None, [None])
        assert (await ben.get("/v1/users/ben/presence")).json()["busy_with"] == company
        await front.set(busy_with_visible_to="users")
        assert (await anna.get("/v1/users/ben/presence")).json()["busy_with"] == company
        items = (await anna.get("/v1/presence", params={"user_id": ["ben", "cleo"]})).json()["items"]
        assert [item["user_id"] for item in items] == ["ben", "cleo"]
        assert items[0]["busy_with"] == company


async def test_guests_and_tokens_for_one_call_see_nobody_else(front):
    call = await front.call("anna", "ben")
    for claims in ({"kind": TokenKind.GUEST}, {"call_id": call["id"]}):
        async with front.user("anna", **claims) as client:
            assert (await client.get("/v1/users/anna/presence")).status_code == 200
            problem(await client.get("/v1/users/ben/presence"), 403, "not_authorized")
            problem(await client.get("/v1/presence", params={"user_id": ["anna", "ben"]}), 403, "not_authorized")


async def test_a_ringing_user_is_busy_if_the_app_says_so(front):
    await front.http.patch("/v1/app", json={"busy_while_ringing": True})
    await front.online("ben")
    call = await front.call("anna", "ben")
    await front.post(f"/calls/{call['id']}/ack", {"user_id": "ben", "device_id": "ben-1"})
    assert await states(front, "ben") == {"ben": ("busy", "ringing")}
    assert (await presence(front, "ben", format="graph"))["mapped"] == "Busy / InACall"
