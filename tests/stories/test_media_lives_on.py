"""A service that is killed leaves its media workers to the next one: sound and picture go on meanwhile (59)."""

from contextlib import AsyncExitStack

from tests.fixtures.routed import Attendee, connect
from tests.fixtures.serving import reached_process
from tests.fixtures.sockets import phone_at


async def test_59_a_killed_service_finds_its_worker_and_the_call_goes_on(db_url, tmp_path):
    settings = {"media": "local", "data_dir": tmp_path, "lease_s": 2, "lease_renew_s": 0.5}
    async with reached_process(db_url, **settings) as (process, reached), AsyncExitStack() as stack:
        ann, bob = await phone_at(reached, "ann"), await phone_at(reached, "bob")
        call = await ann.dial("bob", topology="routed")
        await bob.do("call.answer", call)
        people = {p.user: Attendee(p, call, shade=60 * n) for n, p in enumerate((ann, bob), 1)}
        for one in people.values():
            stack.push_async_callback(one.drop)
        await connect(people)
        await people["ann"].sees(120)
        await people["bob"].sees(60)
        await ann.hears("call.active")
        cursor = ann.cursor
        await process.kill()
        await people["ann"].hears()
        await process.start()
        back = await phone_at(reached, "ann", resume_after=cursor)
        again = await phone_at(reached, "bob")
        for phone in (back, again):
            stack.push_async_callback(phone.close)
        for one in people.values():
            one.shades.clear()
            await one.hears()
        await people["ann"].sees(120)
        # The worker hears the new service, and the new service the worker: a subscription is taken and answered.
        answer = await back.ask("media.subscribe", call_id=call, video=False)
        assert answer["type"] == "result", answer
        slots = await back.gets("media.slots", pc="sub", epoch=1)
        assert slots["call_id"] == call
        assert not any(frame["type"] == "media.restart" for frame in back.frames + again.frames)
        legs = (await reached.http.get(f"/v1/calls/{call}")).json()["legs"]
        assert [len(leg["streams"]) for leg in legs] == [2, 2]
        ended = await back.do("call.hangup", call)
        assert ended["end_reason"] == "hangup"
