"""Rate limits: per key and per user, and nobody pays for the others."""

import asyncio

import pytest

from service.api.limits import LimitsConfig
from tests.api.front import front_door, problem


@pytest.fixture
async def front(database):
    async with front_door(database, limits=LimitsConfig(per_key=5, per_user=3)) as front:
        yield front


async def asked(client, times):
    return await asyncio.gather(*(client.get("/v1/calls") for _ in range(times)))


def refused(answers):
    told = [answer for answer in answers if answer.status_code != 200]
    for answer in told:
        problem(answer, 429, "rate_limited")
        assert answer.headers["retry-after"] == "1"
    return len(told)


async def test_a_key_and_each_user_have_limits_of_their_own(front):
    assert refused(await asked(front.http, 60)) == 60 - 5
    assert refused(await asked(front.user("ana"), 60)) == 60 - 3
    assert refused(await asked(front.user("ben"), 3)) == 0


async def test_the_next_second_begins_anew(front):
    assert refused(await asked(front.http, 6)) == 1
    front.clock.skip(1)
    assert refused(await asked(front.http, 6)) == 1


async def test_all_tokens_of_a_user_share_one_limit(front):
    answers = await asyncio.gather(*(front.user("ana").get("/v1/calls") for _ in range(60)))
    assert refused(answers) == 60 - 3


async def test_what_needs_no_credential_has_no_limit(front):
    answers = await asyncio.gather(*(front.client("").get("/healthz") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
