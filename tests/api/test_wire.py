"""Byte by byte against a real server: refusals keep the connection, and nothing is ever dropped without an answer."""

import http.client
import json
import socket

import pytest

from tests.api.served import Served

LIMIT = 256 * 1_024


@pytest.fixture(scope="module")
def served(postgres_server, postgres_template):
    with Served(postgres_server, postgres_template).running() as served:
        yield served


@pytest.fixture
def connection(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    yield connection
    connection.close()


@pytest.fixture
def headers(served):
    return {"authorization": f"Bearer {served.front.credentials.api_key}", "content-type": "application/json"}


def read(connection):
    response = connection.getresponse()
    body = response.read()
    return response.status, json.loads(body) if body else None


def still_answers(connection, headers):
    connection.request("GET", "/v1/calls", headers=headers)
    assert read(connection)[0] == 200


def chunks(size, piece=8_192):
    while size > 0:
        yield b" " * min(piece, size)
        size -= piece


@pytest.mark.parametrize("size", [LIMIT + 1, 1_000_000, 8_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_heard_to_its_end(connection, headers, size, chunked):
    more = {} if chunked else {"content-length": str(size)}
    connection.request("POST", "/v1/calls", body=chunks(size), headers=headers | more, encode_chunked=chunked)
    status, problem = read(connection)
    assert (status, problem["code"]) == (413, "payload_too_large")
    still_answers(connection, headers)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_just_the_limit_is_read(connection, headers, chunked):
    body = b'{"initiator":"ana","participants":["ben"]}'
    body += b" " * (LIMIT - len(body))
    more = {} if chunked else {"content-length": str(len(body))}
    connection.request("POST", "/v1/calls", body=iter([body]), headers=headers | more, encode_chunked=chunked)
    status, answer = read(connection)
    assert status in {201, 409}, answer
    still_answers(connection, headers)


def test_a_client_that_asks_first_is_told_before_it_sends(served, headers):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as raw:
        lines = ["POST /v1/calls HTTP/1.1", "host: test", "expect: 100-continue", "content-length: 9999999"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        raw.sendall("\r\n".join((*lines, "", "")).encode())
        assert raw.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS", "HEAD", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/v1/calls", "/nothing", "/v1/calls/x/answer", "/v1/users/%00", "/%ff", "//", "/v1/calls/"]
)
def test_any_method_on_any_path_keeps_the_connection(connection, headers, method, path):
    connection.request(
        method, path, body=b"[" if method in {"POST", "PUT", "PATCH", "DELETE"} else None, headers=headers
    )
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200 or 400 <= response.status < 500
    if response.status >= 400 and method != "HEAD":
        assert response.headers["content-type"] == "application/problem+json"
        assert json.loads(body)["status"] == response.status
    still_answers(connection, headers)


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/users/\xc3\xa4",
        b"/v1/users/\xff",
        b"/v1/users/a b",
        b"/v1/calls?user_id=\xc3\xa4",
        b"/v1/calls?user_id=\xff",
        b"/v1/calls?%",
        b"/v1/calls?limit=%zz",
        b"/v1/calls?" + b"a" * 30_000,
        b"/v1/users/" + b"a" * 30_000,
        b"/v1/users/%",
        b"/v1/users/%e2%82",
        b"*",
        b"http://other.example/v1/calls",
        b"",
    ],
)
def test_paths_that_nobody_should_send_are_answered(served, path):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as raw:
        raw.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        told = b""
        while piece := raw.recv(65_536):
            told += piece
    assert told.startswith(b"HTTP/1.1 4"), told[:200]


@pytest.mark.parametrize("value", [b"\xff\xfe", b"Bearer \xc3\xa4", b"Bearer " + b"x" * 20_000, b"\t", b"Bearer a.b.c"])
def test_credentials_that_are_no_text_are_answered(served, value):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as raw:
        head = b"GET /v1/calls HTTP/1.1\r\nhost: test\r\nauthorization: " + value + b"\r\nconnection: close\r\n\r\n"
        raw.sendall(head)
        told = b""
        while piece := raw.recv(65_536):
            told += piece
    assert told.startswith(b"HTTP/1.1 401 "), told[:200]


def test_many_refusals_on_one_connection(connection, headers):
    for _ in range(200):
        connection.request("POST", "/v1/calls", body=b'{"a":NaN}', headers=headers)
        assert read(connection)[0] == 422
    still_answers(connection, headers)


@pytest.mark.parametrize(
    "raw", [b"BREW / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"{}\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
def test_what_is_no_http_is_told_so(served, raw):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        client.sendall(raw)
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")
