"""Scenario 48, told by `hookswitch serve`: the media worker of a call cannot start."""

import socket

from tests.fixtures.serving import reached_process
from tests.fixtures.sockets import phones


async def test_48_the_answer_is_recorded_the_call_ends_and_both_are_told(db_url, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = {"media": "local", "media_ports": f"{port}-{port}", "data_dir": tmp_path}
        async with reached_process(db_url, **settings) as (_, reached), phones(reached, "ann", "bob") as (ann, bob):
            call = await ann.dial("bob", topology="routed")
            answered = await bob.ask("call.answer", call_id=call)
            assert answered["connection"]["topology"] == "routed"
            for phone in (ann, bob):
                ended = await phone.hears("call.ended")
                assert ended["call"]["end_reason"] == "media_failed"
                assert ended["cause"]["by"]["type"] == "media"
                await phone.heard_all(call, ended["seq"])
            told = (await reached.http.get(f"/v1/calls/{call}")).json()
            assert (told["state"], told["end_reason"]) == ("ended", "media_failed")
            assert told["answered_at"]
            assert {leg["user_id"]: (leg["state"], leg["end_reason"]) for leg in told["legs"]} == {
                "ann": ("failed", "media_failed"),
                "bob": ("failed", "media_failed"),
            }
            # Nobody stays busy, and what needs no worker goes on.
            relayed = await ann.dial("bob")
            assert (await bob.ask("call.answer", call_id=relayed))["connection"]["topology"] == "relayed"
