"""Whoever tells of presence hears of everything here that it is made of."""

from dataclasses import replace

from service.api.application import build_api
from tests.api.front import problem

SAID = {"source": "cal", "away": True, "expires_in_s": 60}


async def test_what_presence_is_made_of_is_marked_when_it_changes(front):
    marked = []
    front.app = build_api(replace(front.deps, moved=lambda app_id, user_id: marked.append((app_id, user_id))))
    async with front.client(front.credentials.api_key) as http:
        for method, path, body in (
            ("PUT", "/v1/users/anna", {"do_not_disturb": True}),
            ("PUT", "/v1/users/anna/devices/web", {"platform": "web"}),
            ("DELETE", "/v1/users/anna/devices/web", None),
            ("PUT", "/v1/users/anna/presence", SAID),
            ("DELETE", "/v1/users/anna/presence?source=cal", None),
            ("DELETE", "/v1/users/anna", None),
        ):
            assert (await http.request(method, path, json=body)).is_success
            assert marked.pop() == (front.credentials.app_id, "anna"), path
            assert not marked
        problem(await http.put("/v1/users/anna/presence", json={}), 422, "invalid_request")
        await http.get("/v1/users/anna/presence")
        await http.get("/v1/presence")
    assert not marked


async def test_whoever_is_rung_is_told_of_when_ringing_becomes_busy(front):
    marked = []
    front.app = build_api(replace(front.deps, moved=lambda _app_id, user_id: marked.append(user_id)))
    async with front.client(front.credentials.api_key) as http:
        await front.call("ana", "ben")
        assert (await http.patch("/v1/app", json={"ring_timeout_s": 20})).is_success
        assert not marked
        assert (await http.patch("/v1/app", json={"busy_while_ringing": True})).is_success
    assert sorted(marked) == ["ana", "ben"]
