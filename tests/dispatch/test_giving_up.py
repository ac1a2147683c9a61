"""Receivers that have too much to do, and those that are given up: after five days, or because they say so."""

from datetime import timedelta

import orjson
import pytest

from service.core.backoff import LONGEST_RETRY_AFTER_S
from service.store.webhook_health import HOPELESS
from tests.dispatch.office import seqs
from tests.dispatch.receiver import OK, listening, status

DAY = timedelta(days=1)


@pytest.mark.parametrize("code", [429, 502, 504])
async def test_one_with_too_much_to_do_is_left_alone_for_longer_each_time(office, code):
    async with listening(otherwise=status(code)) as receiver:
        hook, _ = await office.hook(receiver)
        sender = office.sender()
        for _ in range(9):
            await office.queue(hook)
        now, rests = await office.now(), []
        for _ in range(4):
            assert await sender.run_once(now) >= 1
            until = (await office.webhook(hook))["throttled_until"]
            rests.append((until - now).total_seconds())
            assert await sender.run_once(until - timedelta(milliseconds=1)) == 0
            now = until
    assert [round(rest) for rest in rests] == [1, 2, 4, 8]


@pytest.mark.parametrize("code", [500, 503, 404])
async def test_another_failure_is_no_reason_to_leave_it_alone(office, code):
    async with listening(answers=[status(code)]) as receiver:
        hook, _ = await office.hook(receiver)
        for _ in range(3):
            await office.queue(hook)
        await office.sender().run_once()
        assert (await office.webhook(hook))["throttled_until"] is None
        assert len(receiver.requests) == 3


async def test_it_recovers_step_by_step(office):
    """Sixteen at once, then a 429: one, then half as many and one more with each success."""
    async with listening() as receiver:
        hook, _ = await office.hook(receiver)
        for _ in range(20):
            await office.queue(hook)
        sender = office.sender()
        await sender.run_once()
        receiver.answers.append(status(429))
        await office.queue(hook)
        await sender.run_once()
        for _ in range(20):
            await office.queue(hook)
        assert await sender.run_once() == 0
        await sender.run_once(await office.later(seconds=20))
    assert [row["state"] for row in await office.log(hook)] == ["delivered"] * 41
    assert (await office.webhook(hook))["failing_since"] is None


@pytest.mark.parametrize("code", [429, 503])
async def test_when_it_names_a_time_the_whole_endpoint_is_left_alone_until_then(office, code):
    async with listening(answers=[status(code, "retry-after: 600")]) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        sender, now = office.sender(), await office.now()
        await sender.run_once(now)
        await office.queue(hook)
        assert await sender.run_once(now + timedelta(seconds=599)) == 0
        assert await sender.run_once(now + timedelta(seconds=602)) >= 1
    assert len(receiver.requests) >= 2


async def test_the_time_may_be_a_date(office):
    date, until = "Fri, 20 Nov 2026 08:00:00 GMT", "Fri, 20 Nov 2026 08:10:00 GMT"
    async with listening(otherwise=status(429, f"date: {date}", f"retry-after: {until}")) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        now = await office.now()
        await office.sender().run_once(now)
        (row,) = await office.log(hook)
        webhook = await office.webhook(hook)
    for moment in (row["next_attempt_at"], webhook["throttled_until"]):
        assert timedelta(seconds=600) <= moment - now < timedelta(seconds=605)


async def test_nobody_is_left_alone_for_longer_than_a_day(office):
    async with listening(otherwise=status(503, "retry-after: 99999999")) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        now = await office.now()
        await office.sender().run_once(now)
        rest = (await office.webhook(hook))["throttled_until"] - now
    assert rest < timedelta(seconds=LONGEST_RETRY_AFTER_S + 5)


async def test_another_sender_leaves_it_alone_too(office):
    async with listening(answers=[status(429, "retry-after: 600")]) as receiver:
        hook, _ = await office.hook(receiver)
        await office.queue(hook)
        await office.sender().run_once()
        await office.queue(hook)
        assert await office.sender().run_once() == 0


async def failing(office, hook, days):
    """Tried twice a day for so long, while all fails; the moment after the last."""
    for _ in range(20):
        await office.queue(hook)
    sender, now = office.sender(), await office.now()
    for _ in range(round(2 * days)):
        await sender.run_once(now)
        now += DAY / 2
    return now


async def test_56_after_five_days_of_failure_it_is_disabled_with_notice(office):
    async with listening(otherwise=status(500)) as bad, listening() as well:
        hook, _ = await office.hook(bad, "call.*")
        heir, _ = await office.hook(well, "webhook.*")
        now = await failing(office, hook, HOPELESS.days - 0.5)
        assert (await office.webhook(hook))["enabled"]
        sender = office.sender()
        await sender.run_once(now + DAY / 2)
        webhook = await office.webhook(hook)
        assert (webhook["enabled"], webhook["disabled_reason"]) == (False, "every delivery failed for 5 days")
        (news,) = [orjson.loads(request.body) for request in well.requests]
        (event,) = await office.rows("SELECT app_id FROM events WHERE type = 'webhook.disabled'")
        told = len(bad.requests)
        await sender.run_once(now + DAY)
        assert len(bad.requests) == told
    assert event["app_id"] == "app"
    assert news["type"] == "webhook.disabled"
    assert (news["data"]["webhook_id"], news["data"]["reason"]) == (str(hook), webhook["disabled_reason"])
    assert await office.states(heir) == [(1, "delivered", 1)]
    assert len(await office.rows("SELECT 1 FROM deliveries WHERE state = 'pending'")) > 0, "what waits is kept"


async def test_one_success_in_between_and_the_days_are_counted_anew(office):
    async with listening(otherwise=status(500)) as receiver:
        hook, _ = await office.hook(receiver, "call.*")
        now = await failing(office, hook, 4)
        receiver.otherwise = OK
        await office.queue(hook)
        await office.sender().run_once(now)
        assert (await office.webhook(hook))["failing_since"] is None
        receiver.otherwise = status(500)
        await office.queue(hook)
        await office.sender().run_once(now + 3 * DAY)
        assert (await office.webhook(hook))["enabled"]


async def test_failures_with_nothing_in_between_for_days_are_no_streak(office):
    """It failed once, and was asked for nothing for a week: that is not a week of failure."""
    async with listening(otherwise=status(500)) as receiver:
        hook, _ = await office.hook(receiver, "call.*")
        await office.queue(hook)
        await office.sender().run_once()
        await office.rows("UPDATE deliveries SET state = 'failed'")
        await office.queue(hook)
        now = await office.later(days=7)
        await office.sender().run_once(now)
        webhook = await office.webhook(hook)
    assert (webhook["enabled"], webhook["failing_since"]) == (True, now)


async def test_whoever_is_enabled_again_is_sent_what_waited(office):
    async with listening(otherwise=status(500)) as receiver:
        hook, _ = await office.hook(receiver, "call.*")
        await office.queue(hook, count=3)
        await office.sender().run_once()
        await office.rows("UPDATE webhooks SET failing_since = clock_timestamp() - interval '6 days'")
        await office.rows("UPDATE webhooks SET last_failure_at = clock_timestamp()")
        await office.sender().run_once(await office.later(seconds=10))
        assert not (await office.webhook(hook))["enabled"]
        receiver.otherwise, receiver.requests[:] = OK, []
        await office.rows("UPDATE webhooks SET enabled = true, failing_since = NULL")
        await office.sender().run_once(await office.later(days=1))
        assert seqs(receiver.requests) == [1, 2, 3]
