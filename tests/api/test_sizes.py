"""Content beyond its size is answered 413, with a plain sentence."""

import pytest

from tests.api.front import problem

LARGE = {"text": "x" * 8_192}


async def test_a_call_s_own_data_has_at_most_8_kb(front):
    body = {"initiator": "ana", "participants": ["ben"], "custom": LARGE}
    refused = problem(await front.post("/calls", body), 413, "payload_too_large")
    assert refused["detail"] == "body.custom: is larger than 8192 bytes of JSON"
    assert (await front.post("/calls", {**body, "custom": {"text": "x" * 8_181}})).status_code == 201


@pytest.mark.parametrize("data", [LARGE, "x" * 8_191, ["ü" * 4_095]])
async def test_a_signal_has_at_most_8_kb(front, data):
    call = await front.talking()
    body = {"user_id": "ana", "type": "chat", "data": data}
    refused = problem(await front.post(f"/calls/{call['id']}/signal", body), 413, "payload_too_large")
    assert refused["detail"] == "body.data: is larger than 8192 bytes of JSON"
