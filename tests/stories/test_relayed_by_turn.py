"""Clients that reach nothing but the TURN server: their media goes through a real coturn to the media worker."""

import pytest
from aiortc import RTCIceServer
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from tests.fixtures.coturn import LOOPBACK_ALLOWED, coturn
from tests.fixtures.serving import service_in_loop
from tests.fixtures.sockets import phones
from tests.fixtures.whip import over_http

pytestmark = pytest.mark.timeout(120)

SHADE = 60


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_media_passes_with_the_credentials_that_the_service_hands_out(db_url, tmp_path, transport):
    async with (
        coturn(tmp_path, *LOOPBACK_ALLOWED) as server,
        service_in_loop(
            db_url, media="local", data_dir=tmp_path, turn_urls=server.url(transport), turn_secrets="first"
        ) as reached,
        phones(reached, "ann", "ben") as (ann, ben),
        reached.as_user("ann") as encoder,
        reached.as_user("ben") as player,
    ):
        call = await ann.dial("ben", topology="routed")
        await ben.do("call.answer", call)
        url = f"/v1/calls/{call}"
        async with (
            over_http(encoder, f"{url}/whip", **await relay_only(encoder)) as sent,
            over_http(player, f"{url}/whep", **await relay_only(player)) as received,
        ):
            await sent.publish(SHADE).connect()
            await received.play().connect()
            for session in (sent, received):
                candidates = [line for line in session.offer.splitlines() if line.startswith("a=candidate")]
                assert candidates
                assert all(" typ relay " in line for line in candidates)
            await received.sees(SHADE)
            await received.hears()


async def relay_only(http):
    """A peer connection's configuration, as a page would make it of the service's answer."""
    told = (await http.get("/v1/ice-servers")).json()["ice_servers"]
    servers = [RTCIceServer(server["urls"], server["username"], server["credential"]) for server in told]
    return {"ice_servers": servers, "iceTransportPolicy": RTCIceTransportPolicy.RELAY}
