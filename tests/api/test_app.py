from dataclasses import asdict

import orjson

from service.core.settings import AppSettings
from service.wire.apps import AppView, SettingsChange
from tests.api.front import problem

DEFAULTS = asdict(AppSettings())
AS_TOLD = orjson.loads(orjson.dumps(DEFAULTS))


def test_the_shapes_have_exactly_the_settings_and_their_defaults():
    assert SettingsChange().model_dump() == DEFAULTS
    assert AppView.model_fields.keys() == {"id", "name", *DEFAULTS}


async def test_an_app_reads_its_settings(front):
    answer = await front.http.get("/v1/app")
    assert answer.status_code == 200
    assert answer.json() == {"id": front.credentials.app_id, "name": "test", **AS_TOLD}


async def test_a_change_leaves_the_rest_and_counts_at_once(front):
    changed = await front.http.patch("/v1/app", json={"ring_timeout_s": 5, "max_duration_s": 600, "glare": "busy"})
    expected = AS_TOLD | {"ring_timeout_s": 5, "max_duration_s": 600, "glare": "busy"}
    assert changed.json() == {"id": front.credentials.app_id, "name": "test", **expected}
    again = await front.http.patch("/v1/app", json={"max_duration_s": None})
    assert again.json()["max_duration_s"] is None
    assert again.json()["ring_timeout_s"] == 5
    assert (await front.http.get("/v1/app")).json() == again.json()
    assert (await front.http.patch("/v1/app", json={})).json() == again.json()
    leg = (await front.call("anna", "ben"))["legs"][1]
    assert leg["ring_deadline"]
    assert (await front.aggregate((await front.call("carl", "dora"))["id"])).policy.ring_timeout_s == 5


BAD = (
    {"ring_timeout_s": 4},
    {"ring_timeout_s": 181},
    {"ring_timeout_s": "60"},
    {"ring_timeout_s": None},
    {"ring_timeout_s": 60.5},
    {"ring_timeout_s": True},
    {"ring_timeout_s": 1e400},
    {"connect_timeout_s": 0},
    {"reconnect_grace_s": 0},
    {"caller_lease_s": 301},
    {"alone_grace_s": -1},
    {"min_connected": 0},
    {"min_connected": 3},
    {"max_participants_relayed": 5},
    {"max_participants_routed": 13},
    {"max_participants_routed": 1},
    {"max_duration_s": 9},
    {"call_waiting": "on"},
    {"sandbox": None},
    {"glare": "fight"},
    {"name": "other"},
    {"app_id": "x"},
    {"settings": {}},
    [],
)


async def test_a_setting_out_of_its_range_changes_nothing(front):
    for body in BAD:
        answer = await front.http.patch("/v1/app", content=dumped(body), headers={"content-type": "application/json"})
        problem(answer, 422, "invalid_request")
    assert (await front.http.get("/v1/app")).json()["ring_timeout_s"] == 60


def dumped(body):
    return str(body).replace("'", '"').replace("None", "null").replace("True", "true").replace("inf", "1e400")


async def test_only_a_backend_reads_and_changes_settings(front, other):
    async with front.user("anna") as anna:
        problem(await anna.get("/v1/app"), 403, "not_authorized")
        problem(await anna.patch("/v1/app", json={"sandbox": True}), 403, "not_authorized")
    await other.http.patch("/v1/app", json={"ring_timeout_s": 30})
    assert (await front.http.get("/v1/app")).json()["ring_timeout_s"] == 60
