"""One request to somebody else's server, which may do as it likes."""

import asyncio

import pytest

from tests.dispatch.receiver import OK, dribble, flood, hang, listening, status, vanish
from tests.fixtures.certificates import certificate

BODY = '{"type":"call.ended","data":{"name":"Zoë"}}'.encode()


async def test_the_body_arrives_byte_for_byte_with_its_headers(poster):
    async with listening() as receiver:
        answer = await poster.post(receiver.url + "?key=a%20b", {"webhook-id": "1"}, BODY)
    (request,) = receiver.requests
    assert (answer.ok, answer.status, answer.error) == (True, 200, None)
    assert (request.method, request.target, request.body) == ("POST", "/hook?key=a%20b", BODY)
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(BODY))
    assert request.id == "1"


async def test_headers_and_body_of_the_answer_are_told(poster):
    async with listening(otherwise=status(201, "Location: /messages/1", body=b'{"id":1}')) as receiver:
        answer = await poster.post(receiver.url, {}, BODY)
    assert (answer.headers["location"], answer.body) == ("/messages/1", b'{"id":1}')


async def test_an_idle_connection_is_used_again(poster):
    async with listening() as receiver:
        for _ in range(3):
            assert (await poster.post(receiver.url, {}, BODY)).ok
        assert [request.connection for request in receiver.requests] == [1, 1, 1]


async def test_a_connection_that_was_closed_while_idle_costs_no_attempt(poster):
    async def answer_then_close_on_the_next(_request, reader, writer):
        writer.write(OK)
        await writer.drain()
        await receiver.read(reader, 0)
        writer.close()

    async with listening(answers=[answer_then_close_on_the_next]) as receiver:
        assert (await poster.post(receiver.url, {}, BODY)).ok
        assert (await poster.post(receiver.url, {}, BODY)).ok
        assert [request.connection for request in receiver.requests] == [1, 2]


async def test_a_fresh_connection_that_breaks_is_not_tried_again(poster):
    async with listening(otherwise=vanish) as receiver:
        answer = await poster.post(receiver.url, {}, BODY)
    assert (answer.status, answer.ok) == (None, False)
    assert answer.error.startswith("no answer: Server disconnected")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(poster, code):
    async with listening() as elsewhere:
        async with listening(otherwise=status(code, f"location: {elsewhere.url}")) as receiver:
            answer = await poster.post(receiver.url, {}, BODY)
        assert (answer.ok, answer.status) == (False, code)
        assert "redirects are not followed" in answer.error
        assert elsewhere.requests == []


@pytest.mark.parametrize("code", [400, 401, 404, 410, 429, 500, 503])
async def test_an_answer_that_is_no_success(poster, code):
    async with listening(otherwise=status(code, "retry-after: 120", body=b"no")) as receiver:
        answer = await poster.post(receiver.url, {}, BODY)
    assert (answer.ok, answer.status, answer.error, answer.retry_after_s) == (False, code, f"answered {code}", 120)


@pytest.mark.parametrize("value", ["soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 400, "1e3"])
async def test_a_retry_after_that_is_no_number_is_not_heeded(poster, value):
    async with listening(otherwise=status(503, f"retry-after: {value}")) as receiver:
        assert (await poster.post(receiver.url, {}, BODY)).retry_after_s == 0


async def test_every_2xx_is_a_success(poster):
    async with listening(answers=[status(201), status(202), status(299)]) as receiver:
        assert [(await poster.post(receiver.url, {}, BODY)).ok for _ in range(3)] == [True] * 3


async def test_an_endless_body_is_read_only_to_its_bound(poster):
    async with listening(otherwise=flood) as receiver:
        answer = await poster.post(receiver.url, {}, BODY)
        assert (answer.ok, answer.status) == (True, 200)
        async with asyncio.timeout(5):
            assert await receiver.ended.get() == 1


async def test_a_large_body_is_cut_and_its_connection_given_up(poster):
    async with listening(otherwise=status(500, body=b"x" * 5_000_000)) as receiver:
        for _ in range(2):
            assert (await poster.post(receiver.url, {}, BODY)).status == 500
        assert [request.connection for request in receiver.requests] == [1, 2]


@pytest.mark.parametrize(
    "behaviour",
    [
        hang,
        dribble(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"),
        dribble(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dribble(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        dribble(b"HTTP/1.1 2"),
        dribble(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["hang", "body", "chunks", "headers", "status", "continue"],
)
async def test_the_time_is_limited_in_all_and_not_per_step(make_poster, behaviour):
    """Drops that come faster than any single timeout."""
    poster = make_poster(timeout_s=0.3)
    async with listening(otherwise=behaviour) as receiver:
        answer = await poster.post(receiver.url, {}, BODY)
        assert not answer.ok
        if answer.latency_ms < 290:  # endless headers come to the end of the parser's patience before
            assert "no answer" in answer.error
        else:
            assert answer.latency_ms < 1_000
            assert (answer.status, answer.error) == (None, "no complete answer within 0.3 s")


async def test_a_name_that_takes_for_ever_to_resolve_is_limited_too(make_poster):
    async def never(host, port):
        await asyncio.get_running_loop().create_future()

    answer = await make_poster(never, timeout_s=0.1).post("http://hooks.example/", {}, BODY)
    assert answer.error == "no complete answer within 0.1 s"


@pytest.mark.parametrize(
    "junk",
    [b"SSH-2.0-OpenSSH_9\r\n", b"\0" * 100, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"],
    ids=["ssh", "zeros", "cut"],
)
async def test_what_is_not_http_is_no_success(poster, junk):
    async def answer(_request, _reader, writer):
        writer.write(junk)
        writer.close()

    async with listening(otherwise=answer) as receiver:
        got = await poster.post(receiver.url, {}, BODY)
    assert (got.ok, got.status) == (False, None)
    assert got.error.startswith("no answer")
    assert "\0" not in got.error


async def test_a_port_where_nobody_listens(poster):
    async with listening() as receiver:
        url = receiver.url
    answer = await poster.post(url, {}, BODY)
    assert (answer.ok, answer.status) == (False, None)
    assert answer.error.startswith("no connection")


async def test_a_private_address_is_not_called_without_the_setting(make_poster):
    async def private(host, port):
        return ["127.0.0.1"]

    async with listening() as receiver:
        poster = make_poster(private, allow_private=False)
        answer = await poster.post(f"http://hooks.example:{receiver.port}/", {}, BODY)
        assert answer.error == "forbidden address: hooks.example leads to no public address (loopback)"
        assert "not a public address" in (await poster.post(receiver.url, {}, BODY)).error
        assert receiver.connections == 0


async def test_a_url_with_credentials_is_not_called(poster):
    answer = await poster.post("http://ann:secret@127.0.0.1/", {}, BODY)
    assert answer.error.startswith("refused URL")


async def test_proxies_of_the_environment_are_not_used(make_poster, monkeypatch):
    async with listening() as proxy, listening() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await make_poster().post(receiver.url, {}, BODY)).ok
        assert proxy.connections == 0


async def test_idle_connections_are_bounded_and_swept(make_poster):
    poster = make_poster(most_kept=2, keep_s=0.0)
    async with listening() as a, listening() as b, listening() as c:
        for receiver in (a, b, c):
            assert (await poster.post(receiver.url, {}, BODY)).ok
        async with asyncio.timeout(5):
            assert await a.ended.get() == 1
        await poster.sweep()
        async with asyncio.timeout(5):
            assert [await b.ended.get(), await c.ended.get()] == [1, 1]


async def test_tls_sees_the_name_and_the_connection_goes_to_the_address(make_poster, tmp_path):
    async def here(host, port):
        return ["127.0.0.1"]

    server, client = certificate(tmp_path, "hooks.example")
    names = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    async with listening(tls=server) as receiver:
        poster = make_poster(here, client)
        assert (await poster.post(f"https://hooks.example.:{receiver.port}/", {}, BODY)).ok
        assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"
        other = await poster.post(f"https://other.example:{receiver.port}/", {}, BODY)
        assert "certificate" in other.error
        assert names == ["hooks.example", "other.example"]
    assert len(receiver.requests) == 1


async def test_a_stranger_s_certificate_is_refused(make_poster, tmp_path):
    async def here(host, port):
        return ["127.0.0.1"]

    server, _client = certificate(tmp_path, "hooks.example")
    async with listening(tls=server) as receiver:
        answer = await make_poster(here).post(f"https://hooks.example:{receiver.port}/", {}, BODY)
    assert answer.error.startswith("no connection")
    assert "certificate" in answer.error
    assert receiver.requests == []
