import pytest

from bench.load.sip import Message
from bench.load.wires import take_answer, take_frame

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@pytest.mark.parametrize(("data", "answer"), [(ANSWER, (201, b"{}", b"")), (CHUNKED, (200, b"abcde", b""))])
def test_an_answer_is_taken_when_it_is_whole(data, answer):
    assert take_answer(data) == answer
    assert take_answer(data + b"HTTP")[2] == b"HTTP"
    assert all(take_answer(data[:cut]) is None for cut in range(len(data)))


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
def test_a_frame_is_taken_when_it_is_whole(size):
    payload = b"x" * size
    if size < 126:
        head = bytes((0x81, size))
    elif size < 65536:
        head = bytes((0x81, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x81, 127)) + size.to_bytes(8, "big")
    assert take_frame(head + payload + b"\x89") == (1, payload, b"\x89")
    assert take_frame((head + payload)[:-1]) is None
    assert all(take_frame(head[:cut]) is None for cut in range(len(head)))


def test_a_sip_message_knows_what_it_is():
    request = Message(b"INVITE sip:b@h SIP/2.0\r\nVia: one\r\nVia: two\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\nv=0")
    assert request.kind == "INVITE"
    assert request.headers["via"] == ["one", "two"]
    assert Message(b"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n").kind == "180 INVITE"
