"""The stand-in for providers of push: it answers, remembers rings, and hangs where it shall."""

import asyncio
import json

from bench.load.wires import Http
from bench.provider import Desk, take_request

SEND = "/v1/projects/bench/messages:send"


def message(kind, call):
    return {"message": {"token": "t", "data": {"type": kind, "call_id": call}}}


async def test_it_takes_pushes_and_tells_once_when_each_ring_came():
    arrivals = []
    server = await asyncio.get_running_loop().create_server(lambda: Desk(arrivals), "127.0.0.1", 0)
    async with server:
        http = await Http.open(*server.sockets[0].getsockname())
        assert (await http.must("POST", "/token"))["access_token"]
        assert (await http.must("POST", SEND, message("call.ring", "one")))["name"]
        await http.must("POST", SEND, message("call.stop", "one"))
        assert (await http.ask("POST", "/taken"))[0] == 201
        assert (await http.ask("POST", "/elsewhere"))[0] == 404
        assert [call for call, _ in await http.must("GET", "/arrivals")] == ["one"]
        assert await http.must("GET", "/arrivals") == []
        http.close()


def test_a_request_is_taken_when_it_is_whole():
    whole = b"POST /hangs HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    assert take_request(whole[:-1]) is None
    assert take_request(whole[:10]) is None
    assert take_request(whole + b"GET") == ("/hangs", b"{}", b"GET")
    assert json.loads(take_request(whole)[1]) == {}
