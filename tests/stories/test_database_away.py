"""PostgreSQL stopped and started under load: 503 meanwhile, never a 500, nothing acknowledged lost, soon back."""

import asyncio
from itertools import count
from time import monotonic

import pytest

from service.store.migrating import migrate
from tests.fixtures.feeds import asked, call_events, dial
from tests.fixtures.postgres import value
from tests.fixtures.serving import reached_process
from tests.fixtures.sockets import phone_at, phones

BACK_WITHIN_S = 5

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def own_url(own_postgres):
    """A database on a server that this test may stop."""
    await asyncio.to_thread(own_postgres.start)
    await migrate(own_postgres.url())
    return own_postgres.url()


OTHERS = (
    ("PUT", "/v1/users/{n}", {"name": "somebody"}),
    ("PUT", "/v1/users/{n}/devices/phone", {"platform": "web"}),
    ("GET", "/v1/users/{n}/presence", None),
    ("POST", "/v1/tokens", {"user_id": "{n}"}),
    ("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/hook"}),
    ("GET", "/v1/webhooks", None),
    ("GET", "/v1/calls", None),
    ("GET", "/v1/app", None),
    ("PATCH", "/v1/app", {"ring_timeout_s": 60}),
)
"""Everything else that a backend does; in particular what runs in transactions."""


class Load:
    """Several backends that create calls, one after the other, and keep account of what they were answered."""

    def __init__(self, http):
        self.http = http
        self.acknowledged = []
        self.statuses = []
        self.others = set()
        self._numbers = count()
        self._seen = asyncio.Condition()

    async def run(self):
        while True:
            number = next(self._numbers)
            body = {"initiator": f"a{number}", "participants": [f"b{number}"]}
            answer = await self.http.post("/v1/calls", json=body)
            async with self._seen:
                self.statuses.append(answer.status_code)
                if answer.status_code == 201:
                    self.acknowledged.append(answer.json()["call"]["id"])
                else:
                    assert answer.status_code == 503, answer.text
                    assert answer.json()["code"] == "service_unavailable"
                    assert int(answer.headers["retry-after"]) >= 1
                self._seen.notify_all()

    async def run_others(self):
        """No more than that the answers are clean: done, not found yet, or come back later."""
        for n in count():
            method, path, body = OTHERS[n % len(OTHERS)]
            answer = await self.http.request(method, path.format(n=n % 50), json=body)
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
            self.others.add(answer.status_code)

    async def until(self, status, times=5):
        """Wait until that status was answered so many times from now on."""
        begin = len(self.statuses)
        async with asyncio.timeout(30), self._seen:
            await self._seen.wait_for(lambda: self.statuses[begin:].count(status) >= times)


async def test_503_meanwhile_and_serving_again_soon(own_postgres, own_url):
    async with reached_process(own_url) as (process, reached):
        load = Load(reached.http)
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(load.run()) for _ in range(4)]
            workers += [group.create_task(load.run_others()) for _ in range(2)]
            await load.until(201, times=20)

            await asyncio.to_thread(own_postgres.stop)
            await load.until(503, times=20)
            assert (await reached.http.get("/healthz")).status_code == 200
            ready = await reached.http.get("/readyz")
            assert ready.status_code == 503
            assert "retry-after" in ready.headers
            assert (await reached.http.get("/v1/events")).status_code == 503

            await asyncio.to_thread(own_postgres.start)
            began = monotonic()
            await load.until(201)
            assert monotonic() - began < BACK_WITHIN_S
            assert (await reached.http.get("/readyz")).status_code == 200
            for worker in workers:
                worker.cancel()

        assert set(load.statuses) == {201, 503}
        assert {200, 201, 503} <= load.others
        for call in load.acknowledged:
            found = await asked(reached.http.get(f"/v1/calls/{call}"))
            assert found["state"] == "dialing"
        # What was not acknowledged may have been written all the same; nothing is written twice.
        assert await value(own_url, "SELECT count(*) FROM calls") >= len(load.acknowledged)
        assert process.process.returncode is None


async def test_sockets_stay_timers_go_on_and_commands_are_told_to_wait(own_postgres, own_url):
    async with reached_process(own_url, lease_s=30) as (_process, reached):
        async with phones(reached, "ann", "bob") as (ann, bob):
            call = await ann.dial("bob")
            await bob.gets("ring")
            await asyncio.to_thread(own_postgres.stop)
            assert await bob.refused("call.answer", call_id=call) == "service_unavailable"
            await asyncio.to_thread(own_postgres.start)

            async with asyncio.timeout(BACK_WITHIN_S):
                while (answer := await bob.ask("call.answer", call_id=call))["type"] == "error":
                    assert answer["problem"]["code"] == "service_unavailable"
            await ann.hears("call.answered")
            await ann.do("call.hangup", call)
            await bob.hears("call.ended")
            assert ann.closed is None
        await call_events(reached.http, call)

        carl = await phone_at(reached, "carl")
        short = await dial(reached.http, "dora", "carl", ring_timeout_s=5)
        await carl.gets("ring.stop", call_id=short["id"], stop_reason="timed_out")
        await carl.close()
