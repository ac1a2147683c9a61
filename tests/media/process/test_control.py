"""The control channel: frames come out as they went in, however they are cut, and nonsense does no harm."""

import asyncio
import json
import secrets
import socket

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.media.birth import spawn
from service.media.worker.control import LONGEST_FRAME, VERSION, Channel, ChannelError, Frames, framed
from service.media.worker.desk import label
from service.media.worker.messages import Hello, OpenRoom, Setup
from tests.media.process.studio import ended, within


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.lists(st.integers(1, 20), min_size=1))
def test_frames_come_out_as_they_went_in_however_they_are_cut(bodies, cuts):
    stream = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    frames, got, place, turn = Frames(), [], 0, 0
    while place < len(stream):
        step = cuts[turn % len(cuts)]
        got += frames.feed(stream[place : place + step])
        place, turn = place + step, turn + 1
    assert got == bodies


@pytest.mark.parametrize("size", [0, LONGEST_FRAME + 1, 2**32 - 1])
def test_a_length_that_cannot_be_right_is_refused(size):
    with pytest.raises(ChannelError):
        list(Frames().feed(size.to_bytes(4, "big")))


def test_a_message_that_is_too_long_is_not_sent():
    with pytest.raises(ChannelError):
        framed(OpenRoom(1, "x" * LONGEST_FRAME, 1))


async def test_a_channel_ends_when_its_peer_loses_its_place():
    ours, theirs = socket.socketpair()
    lost = asyncio.get_running_loop().create_future()
    await asyncio.get_running_loop().create_connection(lambda: Channel(print, lost.set_result), sock=ours)
    with theirs:
        theirs.sendall(b"\xff\xff\xff\xff")
        async with within(5):
            assert "bytes" in await lost
        assert theirs.recv(1) == b""


async def test_a_channel_ends_when_its_peer_does_not_read():
    ours, theirs = socket.socketpair()
    lost = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_connection(lambda: Channel(print, lost.set_result), sock=ours)
    with theirs:
        while channel.open:
            channel.send(OpenRoom(1, "x" * 100_000, 1))
        assert await lost == "the other end does not read"


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (("recvonly",), "sub"),
        (("recvonly", "inactive"), "sub"),
        (("recvonly", "sendonly"), "pub"),
        (("",), "pub"),
        (("inactive",), "pub"),
        ((), "pub"),
    ],
)
def test_a_connection_is_named_by_what_it_is_for(sections, expected):
    lines = ["v=0"]
    for direction in sections:
        lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111", *([f"a={direction}"] if direction else [])]
    assert label("\r\n".join([*lines, ""])) == expected


class Bare:
    """A worker without a service: raw frames go in and come out."""

    def __init__(self, folder):
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        setup = Setup(secrets.token_hex(4), str(folder), beat_s=3600.0, grace_s=0.0)
        with theirs:
            self.pid, self._watch = spawn("service.media.worker.main", theirs, msgspec.json.encode(setup).decode())
        self._frames = Frames()

    async def send(self, body):
        await asyncio.get_running_loop().sock_sendall(self.socket, len(body).to_bytes(4, "big") + body)

    async def say(self, **message):
        return await self.raw(json.dumps(message).encode())

    async def raw(self, body):
        """Send a body; the next answer that comes."""
        await self.send(body)
        loop = asyncio.get_running_loop()
        async with within(20):
            while True:
                for answer in self._frames.feed(await loop.sock_recv(self.socket, 65536)):
                    told = json.loads(answer)
                    if "id" in told:
                        return told


@pytest.fixture
async def bare(tmp_path):
    worker = Bare(tmp_path)
    yield worker
    worker.socket.close()
    await ended(worker.pid)


async def test_a_worker_greets_and_answers_by_number(bare):
    welcome = await bare.say(op="hello", id=7, version=VERSION)
    assert welcome["id"] == 7
    assert (welcome["ok"]["pid"], welcome["ok"]["rooms"]) == (bare.pid, [])
    assert await bare.say(op="ping", id=8) == {"id": 8, "ok": {}}


async def test_a_worker_of_another_version_does_not_talk(bare):
    answer = await bare.say(op="hello", id=1, version=VERSION + 1)
    assert answer["error"]["code"] == "invalid_request"
    assert (await bare.say(op="ping", id=2))["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"{", 0),
        (b"[]", 0),
        (b"{}", 0),
        (b'{"op": "dance", "id": 5}', 5),
        (b'{"op": "ping"}', 0),
        (b'{"op": "ping", "id": "one"}', 0),
        (b'{"op": "room.open", "id": 5, "room": "r"}', 5),
        (b'{"op": "room.open", "id": 5, "room": "r", "epoch": 1, "colour": "red"}', 5),
        (b'{"op": "room.members", "id": 5, "room": "r", "members": [{"user_id": 1}]}', 5),
        (b"\xff\xfe", 0),
    ],
)
async def test_malformed_requests_are_refused_and_the_worker_goes_on(bare, body, number):
    await bare.say(op="hello", id=1, version=VERSION)
    answer = await bare.raw(body)
    assert answer["id"] == number
    assert answer["error"]["code"] == "invalid_request"
    assert await bare.say(op="ping", id=9) == {"id": 9, "ok": {}}


async def test_what_is_not_there_is_not_found(bare):
    await bare.say(op="hello", id=1, version=VERSION)
    assert (await bare.say(op="room.members", id=2, room="r", members=[]))["error"]["code"] == "not_found"
    assert "ok" in await bare.say(op="room.open", id=3, room="r", epoch=1, app_id="app")
    offer = {"op": "peer.offer", "room": "r", "user_id": "ann", "device_id": "x", "sdp": "v=0"}
    assert (await bare.say(id=4, **offer))["error"]["code"] == "not_found"
    assert "ok" in await bare.say(op="room.close", id=5, room="r")
    assert "ok" in await bare.say(op="room.close", id=6, room="r")


async def test_a_drained_worker_takes_no_more_rooms(bare):
    await bare.say(op="hello", id=1, version=VERSION)
    await bare.say(op="room.open", id=2, room="r", epoch=1)
    assert "ok" in await bare.say(op="drain", id=3)
    assert (await bare.say(op="room.open", id=4, room="r", epoch=1))["error"]["code"] == "media_unavailable"


async def test_a_worker_without_rooms_ends_with_its_channel(bare):
    await bare.say(op="hello", id=1, version=VERSION)
    bare.socket.close()
    await ended(bare.pid)


async def test_a_worker_that_loses_its_place_ends(bare):
    await bare.say(op="hello", id=1, version=VERSION)
    await asyncio.get_running_loop().sock_sendall(bare.socket, b"\xff\xff\xff\xff")
    await ended(bare.pid)


def test_requests_look_as_the_protocol_says():
    assert json.loads(framed(Hello(1, VERSION))[4:]) == {"op": "hello", "id": 1, "version": VERSION}
