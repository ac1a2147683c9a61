"""A consumer that was away for an hour ends with the same state as one that was not, by webhook and by pull."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from service.client import Client, verify_feed, verify_webhook
from tests.dispatch.receiver import OK, Receiver, listening, status
from tests.fixtures.postgres import execute

WITHIN_S = 40
CALLERS = ("ana", "ben", "cleo")
"""Whose presence is looked at: they end up busy, and stay it."""
HOUR = timedelta(hours=1)
DOWN = status(503)
AN_HOUR_AGO = (
    "UPDATE events SET created_at = created_at - interval '1 hour'",
    "UPDATE deliveries SET created_at = created_at - interval '1 hour'",
)


class Consumer:
    """A backend's own picture: the calls with their last state, each person's presence. Takes every event once.

    It goes by `seq`: what failed for long no longer holds back what came later.
    """

    def __init__(self):
        self.events = []
        self.known = set()
        self.seqs = {}
        self.calls = {}
        self.presence = {}
        self.cursor = None

    def hear(self, event):
        if event.data["event_id"] in self.known:
            return
        self.known.add(event.data["event_id"])
        self.events.append(event)
        if event.seq < self.seqs.get(event.stream, 0):
            return
        self.seqs[event.stream] = event.seq
        if event.type == "presence.changed" and event.user_id in CALLERS:
            self.presence[event.user_id] = event.data["presence"]
        elif event.call_id:
            self.calls[event.call_id] = event.data["call"]

    @property
    def picture(self):
        return self.calls, self.presence


async def day(client, names):
    """Calls of different kinds; their ids."""
    made = []
    for name in names:
        answered = await client.call(name, [f"{name}-friend"])
        await client.answer(answered.call.id, user_id=f"{name}-friend", device_id="phone")
        await client.hang_up(answered.call.id, user_id=name)
        declined = await client.call(name, [f"{name}-boss"])
        await client.decline(declined.call.id, user_id=f"{name}-boss")
        live = await client.call(name, [f"{name}-team", f"{name}-crew"])
        made += [answered.call.id, declined.call.id, live.call.id]
    return made


async def pulled(client, consumer, enough):
    """Long polls until the consumer has heard enough."""
    async with asyncio.timeout(WITHIN_S):
        while not enough():
            events, consumer.cursor = await client.feed.read(consumer.cursor, wait_s=5)
            for event in events:
                consumer.hear(event)


def settled(consumer, calls):
    """Whether the consumer knows all that is to come: two calls of three over, each caller busy with the third."""

    def enough():
        live, over = calls[2::3], set(calls) - set(calls[2::3])
        busy = {companion["call_id"] for state in consumer.presence.values() for companion in state["busy_with"]}
        states = {call: consumer.calls.get(call, {}).get("state") for call in calls}
        return {states[call] for call in over} == {"ended"} and states.keys() >= set(live) and busy == set(live)

    return enough


async def test_webhook_and_pull_catch_up_to_the_same_state(running_service):
    steady, puller, hooked = Consumer(), Consumer(), Consumer()
    async with (
        Client(running_service.base_url, running_service.api_key) as client,
        listening(Receiver()) as receiver,
    ):
        hook = await client.webhooks.create(receiver.url)
        before = await day(client, CALLERS[:1])
        await pulled(client, steady, settled(steady, before))
        await pulled(client, puller, settled(puller, before))

        receiver.otherwise, gone = DOWN, len(receiver.requests)
        away_since = datetime.now(UTC) - HOUR
        during = before + await day(client, CALLERS[1:])
        await pulled(client, steady, settled(steady, during))
        while len(receiver.requests) == gone:
            await receiver.take(1, within=WITHIN_S)
        await execute(running_service.db_url, *AN_HOUR_AGO)

        # By pull: from where it stood.
        await pulled(client, puller, settled(puller, during))
        # By webhook: what it did not take, once more.
        receiver.otherwise, back = OK, len(receiver.requests)
        await client.webhooks.recover(hook.id, away_since - timedelta(minutes=5))
        async with asyncio.timeout(WITHIN_S):
            while hooked.known < steady.known:
                await receiver.take(1, within=WITHIN_S)
                hooked = Consumer()
                for request in receiver.requests[:gone] + receiver.requests[back:]:
                    hooked.hear(verify_webhook(hook.secret, request.headers, request.body, time.time()))

        assert puller.picture == steady.picture
        assert hooked.picture == steady.picture
        for consumer in (steady, puller, hooked):
            heads = verify_feed(sorted(consumer.events, key=lambda event: event.seq))
            assert {call: head.seq for call, head in heads.items() if call in during} == {
                call: steady.calls[call]["seq"] for call in during
            }
        for call in during:
            assert steady.calls[call]["state"] == (await client.calls.get(call)).state
        whole = await client.feed.caught_up()
        verify_feed(whole)
        told_since = await client.feed.caught_up(steady.cursor)  # of somebody's presence, perhaps
        heard = [event.envelope for event in steady.events + told_since]
        assert heard[: len(whole)] == [event.envelope for event in whole]
