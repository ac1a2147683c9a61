"""TURN against a real coturn with the shipped configuration: whom it lets in, and whom they may reach."""

import asyncio
from dataclasses import replace
from time import time

import aioice
import pytest
from aioice import stun

from service.api.application import build_api
from service.demo.peer import keep_to_loopback
from service.wire.ice import IceConfig
from service.wire.turn import TurnConfig, turn_credential
from tests.api.front import front_door
from tests.fixtures.coturn import LOOPBACK_ALLOWED, coturn

HOUR = 3_600
NOT_PUBLIC_V4 = (
    "0.0.0.0 0.0.0.1 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.31.255.255 192.0.0.8 192.0.2.2 192.168.1.1 "
    "198.18.0.1 224.0.0.251 239.255.255.250 255.255.255.255"
).split()
NOT_PUBLIC_V6 = (
    ":: ::1 ::ffff:10.0.0.1 64:ff9b::a00:1 2001:db8::1 2002:a00:1::1 fd00::1 fe80::1 fd00:ec2::254 ff02::1"
).split()


@pytest.fixture
async def front(database):
    async with front_door(database) as front:
        yield front


def turning(front, server, *secrets, ttl_s=HOUR):
    """The front door of a service that knows this TURN server."""
    turn = TurnConfig((server.url("udp"), server.url("tcp")), secrets, ttl_s)
    front.app = build_api(replace(front.deps, ice=IceConfig(turn=turn)))
    return front


async def credential(client):
    answer = await client.get("/v1/ice-servers")
    assert answer.status_code == 200
    server = answer.json()["ice_servers"][-1]
    return server["username"], server["credential"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_credential_of_the_service_is_accepted(front, tmp_path, transport):
    async with coturn(tmp_path) as server, turning(front, server, "first").user("ann") as ann:
        username, password = await credential(ann)
        assert username.partition(":")[2] == "ann"
        assert abs(int(username.partition(":")[0]) - time() - HOUR) < 10
        async with server.allocation(username, password, transport) as (relay, _):
            assert relay.get_extra_info("sockname")[0] == server.host


@pytest.mark.parametrize("user", ["o'neil", 'a "b" c', "back\\slash", "größe 😀", "a:b", "0:x", "😀" * 128, "a" * 128])
async def test_whatever_a_user_is_called_the_credential_is_accepted(front, tmp_path, user):
    async with coturn(tmp_path) as server, turning(front, server, "first").user(user) as client:
        assert await server.refusal(*await credential(client)) is None


async def test_the_connection_of_a_call_carries_a_credential_of_its_user(front, tmp_path):
    async with coturn(tmp_path) as server, turning(front, server, "first").client(front.credentials.api_key) as http:
        body = {"initiator": "ann", "participants": ["ben"]}
        told = (await http.post("/v1/calls", json=body)).json()["connection"]["ice_servers"]
        assert told[0]["urls"] == [server.url("udp"), server.url("tcp")]
        assert told[0]["username"].endswith(":ann")
        assert await server.refusal(told[0]["username"], told[0]["credential"]) is None


async def test_wrong_and_expired_credentials_are_refused(tmp_path):
    async with coturn(tmp_path) as server:
        good = turn_credential("first", "ann", int(time()) + HOUR)
        assert await server.refusal(*good) is None
        assert await server.refusal(*turn_credential("other", "ann", int(time()) + HOUR)) == 401
        assert await server.refusal(*turn_credential("first", "ann", int(time()) - 5)) == 401
        assert await server.refusal(good[0].replace("ann", "eve"), good[1]) == 401
        later = str(int(good[0].partition(":")[0]) + HOUR)
        assert await server.refusal(f"{later}:ann", good[1]) == 401
        assert await server.refusal(None, None) == 401


async def test_nobody_is_let_in_without_a_secret(tmp_path):
    async with coturn(tmp_path, secrets=()) as server:
        assert await server.refusal(*turn_credential("", "ann", int(time()) + HOUR)) == 401


async def test_secrets_are_changed_without_refusing_anybody(front, tmp_path):
    """The servers first, then the service; what the old secret signed is good until the old secret is taken away."""
    async with coturn(tmp_path, secrets=("old", "new")) as server:
        async with turning(front, server, "old").user("ann") as ann:
            before = await credential(ann)
        async with turning(front, server, "new", "old").user("ann") as ann:
            after = await credential(ann)
        assert before[1] != after[1]
        assert await server.refusal(*before) is None
        assert await server.refusal(*after) is None


async def permission(relay_protocol, peer):
    """Ask that this peer may be reached; the error's code, `None` when it is granted."""
    request = stun.Message(stun.Method.CREATE_PERMISSION, stun.Class.REQUEST)
    request.attributes["XOR-PEER-ADDRESS"] = (peer, 4_000)
    try:
        await relay_protocol.request_with_retry(request)
    except stun.TransactionFailed as failed:
        return failed.response.error_code
    return None


@pytest.mark.parametrize(
    ("host", "options", "refused", "granted"),
    [
        ("127.0.0.1", (), NOT_PUBLIC_V4, "9.9.9.9"),
        ("::1", ("--allocation-default-address-family=keep",), NOT_PUBLIC_V6, "2620:fe::fe"),
    ],
    ids=["IPv4", "IPv6"],
)
async def test_only_public_peers_may_be_reached(tmp_path, host, options, refused, granted):
    async with coturn(tmp_path, *options, host=host) as server:
        username, password = turn_credential("first", "ann", int(time()) + HOUR)
        client = await raw_client(server, username, password)
        try:
            answers = {peer: await permission(client, peer) for peer in (*refused, granted)}
            assert answers == {**dict.fromkeys(refused, 403), granted: None}
        finally:
            await client.delete()


async def raw_client(server, username, password):
    """An allocation whose protocol takes requests of any kind."""

    def protocol():
        return aioice.turn.TurnClientUdpProtocol((server.host, server.port), username, password, 600, 500)

    loop = asyncio.get_running_loop()
    _, client = await loop.create_datagram_endpoint(protocol, remote_addr=(server.host, server.port))
    await client.connect()
    return client


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data.upper(), addr)


class Inbox(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.got.put_nowait((data, addr))

    def error_received(self, exc):
        self.got.put_nowait((exc, None))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_peer_that_the_operator_allows_is_reached(tmp_path, transport):
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    name = turn_credential("first", "ann", int(time()) + HOUR)
    try:
        peer = echo.get_extra_info("sockname")
        async with (
            coturn(tmp_path, *LOOPBACK_ALLOWED) as server,
            server.allocation(*name, transport, Inbox) as (relay, inbox),
        ):
            relay.sendto(b"hello", peer)
            assert await asyncio.wait_for(inbox.got.get(), 10) == (b"HELLO", peer)
        async with coturn(tmp_path) as server, server.allocation(*name, transport, Inbox) as (relay, inbox):
            relay.sendto(b"hello", peer)
            error, _ = await asyncio.wait_for(inbox.got.get(), 10)
            assert error.response.error_code == 403
    finally:
        echo.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_ice_that_may_only_relay_connects_through_it(tmp_path, transport):
    keep_to_loopback()
    async with coturn(tmp_path, *LOOPBACK_ALLOWED) as server:
        username, password = turn_credential("first", "ann", int(time()) + HOUR)
        far = aioice.Connection(
            ice_controlling=True,
            turn_server=(server.host, server.port),
            turn_username=username,
            turn_password=password,
            turn_transport=transport,
            transport_policy=aioice.TransportPolicy.RELAY,
        )
        near = aioice.Connection(ice_controlling=False)
        await asyncio.gather(far.gather_candidates(), near.gather_candidates())
        assert [candidate.type for candidate in far.local_candidates] == ["relay"]
        for one, other in ((far, near), (near, far)):
            for candidate in other.local_candidates:
                await one.add_remote_candidate(candidate)
            await one.add_remote_candidate(None)
        far.remote_username, far.remote_password = near.local_username, near.local_password
        near.remote_username, near.remote_password = far.local_username, far.local_password
        async with asyncio.timeout(20):
            await asyncio.gather(far.connect(), near.connect())
            await far.send(b"through")
            assert await near.recv() == b"through"
        await asyncio.gather(far.close(), near.close())
