"""Browsers that reach the worker by TURN alone, one over UDP, one over TCP, with the credentials of the service."""

from dataclasses import replace

import pytest

from tests.fixtures.coturn import LOOPBACK_ALLOWED, coturn
from tests.fixtures.postgres import fresh_database
from tests.fixtures.serving import service_in_loop
from tests.media.browser.meeting import all_play_all, clean, meeting

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_pages_behind_turn_play_each_other(stage, postgres_server, postgres_template, tmp_path):
    async with (
        coturn(tmp_path, *LOOPBACK_ALLOWED) as turn,
        fresh_database(postgres_server, postgres_template) as url,
        service_in_loop(
            url, media="local", data_dir=tmp_path, turn_urls=(turn.url("udp"), turn.url("tcp")), turn_secrets=("first",)
        ) as reached,
        meeting(
            replace(stage, reached=reached), "ann", "bob", each={"ann": {"relay": "udp"}, "bob": {"relay": "tcp"}}
        ) as (_, people),
    ):
        await all_play_all(people)
        ways = {user: {link["way"] for link in (await one.stats()).values()} for user, one in people.items()}
        assert ways == {"ann": {"relay udp"}, "bob": {"relay tcp"}}
        assert clean(people)
