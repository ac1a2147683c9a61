from dataclasses import replace
from datetime import datetime

import pytest
from pydantic import ValidationError

from service.api.application import build_api
from service.wire.ice import IceConfig, IceServer
from tests.api.front import problem

STUN = IceServer(urls=("stun:stun.example.com:3478",))
TURN = IceServer(
    urls=("turn:turn.example.com:3478?transport=udp", "turns:[2001:db8::1]:5349"), username="u", credential="c"
)


async def test_there_are_none_by_default(front):
    for client in (front.http, front.user("anna")):
        answer = await client.get("/v1/ice-servers")
        assert answer.status_code == 200
        assert answer.json()["ice_servers"] == []
        expires_at = datetime.fromisoformat(answer.json()["expires_at"]).timestamp()
        assert abs(expires_at - front.clock() - 3600) < 10


async def test_those_configured_are_told_as_a_browser_takes_them(front):
    front.app = build_api(replace(front.deps, ice=IceConfig((STUN, TURN), ttl_s=60)))
    async with front.user("anna") as anna:
        told = (await anna.get("/v1/ice-servers")).json()["ice_servers"]
    assert told[1] == {"urls": list(TURN.urls), "username": "u", "credential": "c"}
    assert told[0]["urls"] == ["stun:stun.example.com:3478"]


async def test_nobody_else_is_told(front):
    async with front.client(None) as nobody:
        problem(await nobody.get("/v1/ice-servers"), 401, "not_authenticated")


@pytest.mark.parametrize("urls", [(), ("http://turn.example.com",), ("stun:",), ("turn:a b",), "stun:x"])
def test_a_server_needs_addresses_that_browsers_take(urls):
    with pytest.raises(ValidationError):
        IceServer(urls=urls)
