"""Encoders and players in a call, over real HTTP and with real media: WHIP (RFC 9725) and WHEP."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.fixtures.serving import service_in_loop
from tests.fixtures.sockets import phone_at
from tests.fixtures.whip import over_http

pytestmark = pytest.mark.timeout(120)

SHADE = 200
RESTARTED = "a=ice-ufrag:Anew\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"


@pytest.fixture
async def reached(db_url, tmp_path):
    async with service_in_loop(db_url, media="local", data_dir=tmp_path) as reached:
        yield reached


@asynccontextmanager
async def routed_call(reached, *users):
    """People in a routed call, by their sockets; nobody but those who come by HTTP sends media."""
    phones = [await phone_at(reached, user) for user in users]
    try:
        call = await phones[0].dial(*users[1:], topology="routed")
        for phone in phones[1:]:
            await phone.do("call.answer", call)
        yield call, phones
    finally:
        for phone in phones:
            await phone.close()


def states(call):
    return {leg["user_id"]: leg["state"] for leg in call["legs"]}


async def test_what_an_encoder_sends_a_player_plays(reached):
    async with routed_call(reached, "ann", "ben") as (call, (ann, _)):
        url = f"/v1/calls/{call}"
        async with (
            reached.as_user("obs", call_id=call) as encoder,
            reached.as_user("tv", call_id=call) as player,
            over_http(encoder, f"{url}/whip") as sent,
            over_http(player, f"{url}/whep") as received,
        ):
            await sent.publish(SHADE).connect()
            await received.play().connect()
            await asyncio.gather(received.sees(SHADE), received.hears())
            assert (await ann.hears("stream.created", "obs"))["stream"]["source"] in {"microphone", "camera"}
            now = (await reached.http.get(url)).json()
            assert states(now)["obs"] == states(now)["tv"] == "connected"
            assert {leg["user_id"]: leg.get("device_id") for leg in now["legs"]}["obs"] == "whip"
            await sent.end()
            await ann.hears("participant.left", "obs")
            assert states((await reached.http.get(url)).json())["tv"] == "connected"
            await received.end()
            assert states((await reached.http.get(url)).json())["tv"] == "left"


async def test_a_participant_of_a_call_adds_a_camera_and_takes_it_away(reached):
    """Somebody's encoder beside their phone: another connection of the same participant, and no other part."""
    async with routed_call(reached, "ann", "ben") as (call, (ann, ben)):
        url = f"/v1/calls/{call}"
        async with (
            reached.as_user("ann") as studio,
            reached.as_user("ben") as living_room,
            over_http(studio, f"{url}/whip") as camera,
            over_http(living_room, f"{url}/whep") as screen,
        ):
            await camera.publish(SHADE).connect()
            await screen.play().connect()
            await screen.sees(SHADE)
            await asyncio.gather(ann.hears("call.active"), ben.hears("call.active"))
            now = (await reached.http.get(url)).json()
            assert states(now) == {"ann": "connected", "ben": "connected"}
            await camera.end()
            await ben.hears("stream.destroyed", "ann")
            assert set(states((await reached.http.get(url)).json())) == {"ann", "ben"}
            assert states((await reached.http.get(url)).json())["ann"] != "left"


async def test_two_who_talk_directly_move_to_a_worker_when_one_of_them_brings_an_encoder(reached):
    ann, ben = [await phone_at(reached, user) for user in ("ann", "ben")]
    call = await ann.dial("ben")
    assert (await ben.ask("call.answer", call_id=call))["connection"]["topology"] == "relayed"
    for phone, peer in ((ann, "ben"), (ben, "ann")):
        await phone.do("media.connected", call, peer=peer)
    url = f"/v1/calls/{call}"
    async with (
        reached.as_user("ann") as studio,
        reached.as_user("ben") as living_room,
        over_http(studio, f"{url}/whip") as camera,
        over_http(living_room, f"{url}/whep") as screen,
    ):
        await camera.publish(SHADE).connect()
        for phone in (ann, ben):
            assert (await phone.gets("media.restart", epoch=1))["connection"]["topology"] == "routed"
        await screen.play().connect()
        await screen.sees(SHADE)
        assert states((await reached.http.get(url)).json()) == {"ann": "connected", "ben": "connected"}
    for phone in (ann, ben):
        await phone.close()


async def test_an_encoder_that_crashed_and_came_back_stays_in_the_call(reached):
    """OBS posts again; then the first session is deleted, and only with the second one the part ends."""
    async with routed_call(reached, "ann", "ben") as (call, (ann, _)):
        url = f"/v1/calls/{call}"
        async with (
            reached.as_user("obs", call_id=call) as encoder,
            over_http(encoder, f"{url}/whip") as first,
            over_http(encoder, f"{url}/whip") as second,
            over_http(encoder, f"{url}/whep") as player,
        ):
            await first.publish(SHADE).connect()
            await second.publish(SHADE).connect()
            await player.play().connect()
            for over in (first, player):
                await over.end()
                assert states((await reached.http.get(url)).json())["obs"] == "connected"
                assert (await over.patch(f"{used(over)}a=end-of-candidates\r\n", over.etag)).status_code == 404
            assert (await first.patch(RESTARTED, "*")).status_code == 404
            assert (await second.patch(used(second), "*")).status_code == 422, "a restart needs new credentials"
            assert (await second.patch(used(second), f'"x", {second.etag}')).status_code == 204
            await second.end()
            await ann.hears("participant.left", "obs")


def used(session):
    """A fragment with the credentials of the session's offer."""
    lines = [line for line in session.offer.splitlines() if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
    return "".join(f"{line}\r\n" for line in lines[:2])


async def test_ice_is_restarted_and_the_media_goes_on(reached):
    async with routed_call(reached, "ann", "ben") as (call, _):
        url = f"/v1/calls/{call}"
        async with (
            reached.as_user("ann") as encoder,
            reached.as_user("ben") as player,
            over_http(encoder, f"{url}/whip") as sent,
            over_http(player, f"{url}/whep") as received,
        ):
            await sent.publish(SHADE).connect()
            await received.play().connect()
            await received.sees(SHADE)
            credentials = [line for line in sent.answer.splitlines() if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
            again = await sent.patch(RESTARTED, '"*"')
            assert again.status_code == 200, again.text
            assert {"a=ice-lite", "a=end-of-candidates"} <= set(again.text.splitlines())
            assert "a=candidate:" in again.text
            assert not set(credentials) & set(again.text.splitlines()), "the worker's credentials are new, too"
            # Until the client's checks come with the new ones, its old path carries on (RFC 8445 section 9).
            await received.sees(SHADE)
            assert (await sent.patch(RESTARTED, sent.etag)).status_code == 412
            assert (await sent.patch(RESTARTED, again.headers["etag"])).status_code == 204


async def test_only_what_is_asked_for_is_taken(reached):
    """A player that also offers to send sends nothing, and an encoder that would receive gets nothing."""
    async with routed_call(reached, "ann", "ben") as (call, (ann, _)):
        async with (
            reached.as_user("ann") as player,
            over_http(player, f"/v1/calls/{call}/whep") as both,
        ):
            for kind in ("audio", "video"):
                both.connection.addTransceiver(kind, direction="sendrecv")
            await both.connect()
            assert {t.currentDirection for t in both.connection.getTransceivers()} == {"recvonly"}
        async with (
            reached.as_user("ben") as encoder,
            over_http(encoder, f"/v1/calls/{call}/whip") as both,
        ):
            for kind in ("audio", "video"):
                both.connection.addTransceiver(kind, direction="sendrecv")
            await both.connect()
            assert {t.currentDirection for t in both.connection.getTransceivers()} == {"sendonly"}
        await ann.hears("call.active")


async def test_an_offer_that_nobody_understands_is_refused_by_the_worker(reached):
    async with routed_call(reached, "ann", "ben") as (call, _), reached.as_user("ann") as ann:
        bad = "v=0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\n"
        answer = await ann.post(f"/v1/calls/{call}/whip", content=bad, headers={"content-type": "application/sdp"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
