"""Offers of other protocols in the head of a request: taken for WebSocket, and else without a meaning."""

import asyncio
import json

import pytest

from service.api.protocol import declined

OFFERS = ["Upgrade: h2c", "upgrade:h2c", "UPGRADE: TLS/1.0", "Upgrade: websocket2"]


@pytest.mark.parametrize("offer", OFFERS)
async def test_a_request_with_an_offer_keeps_its_body(running_service, offer):
    """Java's client sends such a head."""
    body = json.dumps({"initiator": "ana", "participants": ["ben"]})
    head = [
        "POST /v1/calls HTTP/1.1",
        "Connection: Upgrade, HTTP2-Settings",
        f"Content-Length: {len(body)}",
        "Host: calls",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        offer,
        f"Authorization: Bearer {running_service.api_key}",
        "Content-Type: application/json",
    ]
    host, _, port = running_service.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        async with asyncio.timeout(20):
            assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
    finally:
        writer.close()


def test_a_web_socket_and_a_body_are_left_alone():
    for left in (
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nupgrade:WebSocket \r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 16\r\n\r\n\r\nUpgrade: h2c\r\n",
    ):
        assert declined(left) == left
    offered = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
    assert declined(offered) == b"GET / HTTP/1.1\r\nignored: h2c\r\n\r\n"
