"""The client's way to credentials of channels, and to the trace of a call."""

import pytest

from service.client import Client, Refused
from tests.fixtures.serving import service_in_loop

SERVER = {"host": "mail.example.com", "sender": "calls@example.com", "username": "calls", "password": "a secret one"}


async def test_credentials_are_uploaded_listed_without_secrets_and_removed(db_url):
    async with (
        service_in_loop(db_url, secret_keys=["only for a test of the client"]) as reached,
        Client(reached.base_url, reached.api_key) as backend,
    ):
        told = await backend.push.put("email", SERVER)
        assert (told.channel, told.environment, told.about["host"], told.works) == (
            "email",
            "production",
            "mail.example.com",
            None,
        )
        assert await backend.push.all() == [told]
        assert "a secret one" not in str(told)
        await backend.push.delete("email")
        assert await backend.push.all() == []
        with pytest.raises(Refused) as refused:
            await backend.push.delete("email")
        assert refused.value.status == 404


async def test_the_trace_of_a_call_in_words_and_as_a_picture(device, backend):
    async with device("ben") as socket:
        placed = await backend.call("ana", ["ben"])
        await anext(socket.rings)
        await socket.ack(placed.call.id)
        await socket.decline(placed.call.id)
        trace = await backend.calls.trace(placed.call.id)
    (phone,) = trace.leg("ben").devices
    assert (trace.call_id, phone.device_id, phone.rang) == (placed.call.id, "phone", True)
    assert phone.verdict.startswith("rang over its socket after")
    assert (await backend.calls.ladder(placed.call.id)).startswith("<svg ")
    with pytest.raises(KeyError):
        trace.leg("cy")
