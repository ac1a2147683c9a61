"""A backend's webhook endpoint is down while people talk (scenario 56)."""

import asyncio

from tests.dispatch.receiver import Receiver, listening, status
from tests.fixtures.feeds import asked, call_events, ended
from tests.fixtures.sockets import phones

WITHIN_S = 20


async def disabled(http, hook):
    """The webhook, once it is no longer enabled."""
    async with asyncio.timeout(WITHIN_S):
        while (found := await asked(http.get(f"/v1/webhooks/{hook}")))["enabled"]:
            pass
        return found


async def test_56_the_call_goes_on_while_the_webhook_endpoint_is_down(running_service):
    """It hangs and then fails: it is asked again. It says 410: it is asked no more. The feed has everything."""
    http, back_up = running_service.http, asyncio.Event()

    async def hang_then_fail(_request, _reader, writer):
        await back_up.wait()
        writer.write(status(503))
        await writer.drain()

    async with (
        listening(Receiver(answers=[hang_then_fail, status(410)])) as receiver,
        phones(running_service, "ann", "bob") as (ann, bob),
    ):
        body = {"url": receiver.url, "types": ["call.*"]}
        hook = (await http.post("/v1/webhooks", json=body)).json()["id"]
        call = await ann.dial("bob")
        (first,) = await receiver.take()
        await bob.do("call.answer", call)
        await ann.do("call.hangup", call)
        await bob.hears("call.ended")
        assert len(receiver.requests) == 1, "the whole call was told to its people while the endpoint hung"

        back_up.set()
        (second,) = await receiver.take(within=WITHIN_S)
        assert (second.id, second.body) == (first.id, first.body)
        gone = await disabled(http, hook)
        assert "410" in gone["disabled_reason"]

        other = await ann.dial("bob")
        await ann.do("call.hangup", other)
        assert (await ended(http, [call, other])).keys() == {call, other}, "the gap is pulled from the app's feed"
        assert [event.type for event in await call_events(http, call)][-1] == "call.ended"
        assert len(receiver.requests) == 2
