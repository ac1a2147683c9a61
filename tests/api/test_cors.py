"""Web pages use REST from a browser where the operator names them."""

from service.api.deps import ApiConfig
from tests.api.front import front_door

PAGE = "https://app.example.com"
ASKED = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}


async def test_a_page_that_was_named_may_ask(database):
    async with front_door(database, config=ApiConfig(cors_origins=(PAGE,))) as front:
        preflight = await front.http.request("OPTIONS", "/v1/calls", headers=ASKED)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == PAGE
        refused = await front.client(None).get("/v1/calls", headers={"origin": PAGE})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == PAGE, "a page must be able to read the error"


async def test_another_page_may_not(database):
    async with front_door(database, config=ApiConfig(cors_origins=(PAGE,))) as front:
        answer = await front.http.get("/v1/calls", headers={"origin": "https://other.example.com"})
        assert "access-control-allow-origin" not in answer.headers


async def test_without_the_setting_no_page_may(front):
    answer = await front.http.get("/v1/calls", headers={"origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers
