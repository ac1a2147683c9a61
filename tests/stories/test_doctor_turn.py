"""What the doctor says of TURN servers, with real ones that are right, wrong, silent, or too open."""

import asyncio
import ssl
from time import time

import pytest

from service.media.turn import examine_turn
from service.wire.ice import IceConfig, IceServer
from service.wire.turn import TurnConfig, turn_credential
from tests.fixtures.coturn import LOOPBACK_ALLOWED, coturn, free_port


async def told(*urls, secrets=("first",), servers=()):
    ice = IceConfig(servers, turn=TurnConfig(urls, secrets) if urls else TurnConfig())
    return [(finding.mark, finding.text) for finding in await examine_turn(ice, time())]


async def test_a_server_that_lets_our_users_in(tmp_path):
    async with coturn(tmp_path, secrets=("old", "first")) as server:
        urls = server.url("udp"), server.url("tcp")
        assert await told(*urls) == [("ok", f"{url} answers and accepts our credential") for url in urls]


async def test_a_server_with_another_secret(tmp_path):
    async with coturn(tmp_path, secrets=("second",)) as server:
        [(mark, text)] = await told(server.url(), secrets=("first", "second"))
    assert mark == "FAULT"
    assert "refuses our credential: its shared secret is not the first of HOOKSWITCH_TURN_SECRETS" in text


async def test_servers_with_fixed_credentials_are_asked_with_those(tmp_path):
    async with coturn(tmp_path) as server:
        username, credential = turn_credential("first", "anybody", int(time()) + 60)
        right = IceServer(urls=("stun:stun.example.com", server.url()), username=username, credential=credential)
        wrong = IceServer(urls=(server.url("tcp"),), username="u", credential="c")
        found = await told(servers=(right, wrong))
    assert found == [
        ("ok", f"{server.url()} answers and accepts our credential"),
        (
            "FAULT",
            f"{server.url('tcp')} answers and refuses our credential: the one in HOOKSWITCH_ICE_SERVERS is wrong",
        ),
    ]


async def test_servers_that_are_not_there():
    port = free_port("127.0.0.1")
    gone, nameless, secure = await told(
        f"turn:127.0.0.1:{port}?transport=tcp", "turn:turn.invalid:3478", "turns:127.0.0.1:1?transport=udp"
    )
    assert gone[0] == nameless[0] == secure[0] == "FAULT"
    assert "cannot be reached" in gone[1]
    assert "cannot be reached" in nameless[1]
    assert "DTLS" in secure[1]


async def test_a_server_that_never_answers():
    loop = asyncio.get_running_loop()
    silent, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    try:
        url = f"turn:127.0.0.1:{silent.get_extra_info('sockname')[1]}"
        assert await told(url) == [("FAULT", f"{url} does not answer within 4 s")]
    finally:
        silent.close()


async def test_a_server_whose_certificate_nobody_trusts(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=turn.example.com", "-keyout", str(key), "-out", str(certificate),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def close(_reader, writer):
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0, ssl=context) as server:
        url = f"turns:127.0.0.1:{server.sockets[0].getsockname()[1]}?transport=tcp"
        [(mark, text)] = await told(url)
    assert mark == "FAULT"
    assert "clients will not trust its certificate" in text


@pytest.mark.parametrize("open_to_all", [True, False])
async def test_a_server_that_leads_into_the_private_network_is_noted(tmp_path, open_to_all):
    options = (*LOOPBACK_ALLOWED, "--allowed-peer-ip=169.254.169.254") if open_to_all else LOOPBACK_ALLOWED
    async with coturn(tmp_path, *options) as server:
        found = await told(server.url())
    assert ("note" in {mark for mark, _ in found}) is open_to_all
    assert any("lets clients reach 169.254.169.254" in text for _, text in found) is open_to_all
