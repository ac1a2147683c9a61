"""Whatever a receiver's URL looks like and whoever answers for its name: a spy sees each address that is connected to.

The requests go the whole way of a delivery: the pure rules of the URL, the operating system's own resolver, the guard.
Only the last step, the connection, is a spy's.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address

import httpcore2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.dispatch.guard import Guard, SystemResolver
from service.dispatch.post import PostConfig, Poster
from service.wire.urls import check_url, why_not
from tests.dispatch.receiver import OK, status

PUBLIC = "93.184.215.14"
METADATA = "169.254.169.254"
TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Spy(httpcore2.AsyncNetworkBackend):
    """A network on which everybody answers `answer`; remembers who was connected to."""

    def __init__(self, answer=OK):
        self.answer = answer
        self.seen = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109 - httpcore2's signature
        self.seen.append((host, port))
        return httpcore2.AsyncMockStream([self.answer])


class Names:
    """A name server that answers everything, each time with the next of its answers; the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def __call__(self, host, port):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def posted(url, resolve=None, answer=OK):
    """What the poster says of a request to this URL, and whom the spy saw."""
    spy = Spy(answer)
    poster = Poster(Guard(resolve or SystemResolver(), spy), PostConfig(timeout_s=5), TRUSTS_NOBODY)
    try:
        return await poster.post(url, {}, b"{}"), spy.seen
    finally:
        await poster.close()


HOSTS = (
    # one number; octal, hexadecimal and mixed; short; padded; too large
    "2130706433 017700000001 0x7f000001 0X7F000001 0x7f.0.0.1 0177.0.0.1 0177.0x0.0.1 0x7f.1 127.1 127.0.1 "
    "127.000.000.001 0127.0.0.1 4294967297 0x17f000001 127.0.0.256 2852039166 0xa9fea9fe 0251.0376.0251.0376 "
    "169.254.43518 0 0x0 00 0x 1 example.1 example.0x7f "
    # dots behind and between
    "127.0.0.1. 127.0.0.1.. 127..0.0.1 localhost localhost. LOCALHOST a.localhost printer.local "
    "metadata.google.internal intranet router.home.arpa "
    # private, special and reserved as they are
    "127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 100.64.0.1 192.0.0.1 "
    "192.0.0.171 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 "
    "240.0.0.1 255.255.255.255 "
    # IPv6: this machine, mapped and compatible IPv4, translated (SIIT, NAT64, local NAT64), 6to4, Teredo, ORCHID
    "[::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::ffff:127.0.0.1] [::ffff:7f00:1] "
    "[::FFFF:127.0.0.1] [0:0:0:0:0:ffff:7f00:1] [::ffff:8.8.8.8] [::127.0.0.1] [::ffff:0:127.0.0.1] [::7f00:1] "
    "[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::8.8.8.8] [64:ff9b:1::7f00:1] [64:ff9b:1:2:3:4:5:6] "
    "[2002:7f00:1::] [2002:7f00:1::1] [2002:a00:1::] [2002:a9fe:a9fe::] [2002:808:808::1] [2001:0:7f00:1::] "
    "[2001:0:4136:e378:8000:63bf:80ff:fffe] [2001::1] [2001:10::1] [2001:20::1] [2001:db8::1] [3fff::1] [5f00::1] "
    # IPv6: networks of one's own, zones, multicast, discarded
    "[fc00::1] [fd00::1] [fd00:ec2::254] [fe80::1] [fe80::1%25lo] [fe80::1%lo] [::1%25lo] [2606:4700::1111%251] "
    "[fe80::a9fe:a9fe] [fec0::1] [ff02::1] [ff0e::1] [100::1] [0100:0000::] "
    # brackets that hold something else
    "[127.0.0.1] [localhost] [v1.127.0.0.1] [::1]. [::1 ::1] [] [::1]127.0.0.1 "
    # characters that stand for others: full stops and digits of other scripts, percent signs, soft hyphens, backslashes
    "127\u30020\u30020\u30021 127\uff0e0\uff0e0\uff0e1 127\uff610\uff610\uff611 \uff11\uff12\uff17.0.0.1 "
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460 \u0661\u0662\u0667.0.0.1 loc\u00adalhost \u24db\u24de\u24d2al\u24d7ost "
    "%31%32%37.0.0.1 127%2e0%2e0%2e1 127.0.0.1%00.example.com localhost%00 %6c%6f%63%61%6c%68%6f%73%74 127.0.0.1%2f "
    "127.0.0.1\\.example.com xn--127-0-0-1 127.0.0.1;example.com 127.0.0.1,example.com"
).split()

URLS = (
    # names and passwords, before and behind the host that one sees
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://example.com:80@127.0.0.1/",
    "http://a:b@127.0.0.1:80/",
    "http://@127.0.0.1/",
    "http://:@127.0.0.1/",
    "http://example.com%2f@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com@127.0.0.1@example.com/",
    "http://user:secret@example.com/",
    # fragments and questions
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
    "http://127.0.0.1#.example.com/",
    "http://example.com#@127.0.0.1/",
    # ports
    "http://127.0.0.1:80/",
    "http://127.0.0.1:6379/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:+80/",
    "http://example.com: 80/",
    "http://example.com:80:80/",
    "http://example.com:8\uff10/",
    "http://example.com:0x50/",
    # schemes, slashes and blanks
    "//127.0.0.1/",
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "http:///127.0.0.1/",
    "http://\\127.0.0.1/",
    "http:\\\\127.0.0.1/",
    "HTTP://127.0.0.1/",
    "hTTps://127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "ftp://127.0.0.1/",
    "dict://127.0.0.1:11211/",
    "unix:/var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "data:,x",
    "jar:http://127.0.0.1!/",
    " http://127.0.0.1/",
    "http://127.0.0.1 /",
    "http://127.0.0.1\t/",
    "http://127.0.0.\n1/",
    "http://127.0.0.1\r\nHost: example.com/",
    "http://127.0.0.1\0.example.com/",
    "",
)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_of_an_address_leads_anywhere(scheme, host):
    answer, seen = await posted(f"{scheme}://{host}/latest/meta-data")
    assert (answer.ok, answer.status, seen) == (False, None, [])


@pytest.mark.parametrize("url", URLS)
async def test_no_trick_with_a_url_leads_anywhere(url):
    answer, seen = await posted(url)
    assert (answer.ok, answer.status, seen) == (False, None, [])


@pytest.mark.parametrize("host", [host for host in HOSTS if host.isascii()])
async def test_nor_does_it_where_the_service_may_call_its_own_network_and_the_url_is_not_plain(host):
    """The setting for development permits private addresses; what is spelled in another way stays refused."""
    try:
        parts = check_url(f"http://{host}/", allow_private=True)
    except ValueError:
        return
    address = parts.hostname.removesuffix(".").strip("[]")
    with suppress(ValueError):
        assert why_not(ip_address(address), allow_private=True) is None


FORBIDDEN = (
    "127.0.0.1 10.0.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 192.0.0.8 198.19.0.1 224.0.0.1 "
    "255.255.255.255 ::1 :: ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 ::127.0.0.1 64:ff9b::7f00:1 "
    "64:ff9b:1::7f00:1 2002:7f00:1::1 2002:a9fe:a9fe::1 2001:0:7f00:1::1 2001:db8::1 fc00::1 fd00:ec2::254 fe80::1 "
    "fe80::1%1 fec0::1 ff02::1 100::1 5f00::1"
).split()


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_no_name_leads_to_a_forbidden_address(address):
    answer, seen = await posted("https://hooks.example.com/", Names([address]))
    assert (answer.forbidden, seen) == (True, [])
    assert answer.error.startswith("forbidden address: hooks.example.com leads to no public address")


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_beside_a_permitted_address_a_forbidden_one_is_not_tried(address):
    answer, seen = await posted("http://hooks.example.com/", Names([address, PUBLIC]))
    assert (answer.ok, seen) == (True, [(PUBLIC, 80)])


async def test_a_name_that_answers_differently_the_second_time_gains_nothing():
    """DNS rebinding: the address that was checked is the one that is connected to; the next connection checks anew."""
    spy = Spy(status(200, "connection: close"))
    poster = Poster(Guard(Names([PUBLIC], [METADATA], ["127.0.0.1"]), spy), PostConfig(), TRUSTS_NOBODY)
    first = await poster.post("http://rebound.example.com/", {}, b"{}")
    later = [await poster.post("http://rebound.example.com/", {}, b"{}") for _ in range(2)]
    assert first.ok
    assert [answer.forbidden for answer in later] == [True, True]
    assert spy.seen == [(PUBLIC, 80)]


async def test_a_kept_connection_is_one_to_the_address_that_was_checked():
    """While it is kept, the name may turn to whatever it likes: nobody is asked, and nobody else is connected to."""
    spy = Spy(status(200) + status(200))
    poster = Poster(Guard(Names([PUBLIC], [METADATA]), spy), PostConfig(), TRUSTS_NOBODY)
    for _ in range(2):
        await poster.post("http://rebound.example.com/", {}, b"{}")
    assert {address for address, _port in spy.seen} == {PUBLIC}
    await poster.close()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", [f"http://{METADATA}/", "http://127.0.0.1/", "//127.0.0.1/", "/elsewhere"])
async def test_no_redirect_leads_anywhere(code, place):
    answer, seen = await posted("http://hooks.example.com/", Names([PUBLIC]), status(code, f"location: {place}"))
    assert (answer.ok, answer.status, seen) == (False, code, [(PUBLIC, 80)])


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://hooks.example.com/", 80),
        ("http://hooks.example.com:/", 80),
        ("http://hooks.example.com.:80/", 80),
        ("http://hooks.example.com:443/", 443),
        ("http://hooks.example.com:1024/", 1024),
        ("http://hooks.example.com:65535/", 65_535),
        ("http://xn--bcher-kva.example/", 80),
        (f"http://{PUBLIC}:8080/", 8_080),
    ],
)
async def test_what_is_allowed_goes_where_it_says(url, port):
    resolve = SystemResolver() if PUBLIC in url else Names([PUBLIC])
    answer, seen = await posted(url, resolve)
    assert (answer.ok, seen) == (True, [(PUBLIC, port)])


@settings(max_examples=300)
@given(st.text(alphabet="0123456789abcdefx.:%[]@/\\#?-_ \u3002\uff10localhost", min_size=1, max_size=40))
@example("0x7f.0.0.1")
@example("[::ffff:127.0.0.1]")
def test_no_text_at_all_leads_to_a_forbidden_address(text):
    """Whatever is put where a host stands, and whatever the operating system makes of it."""

    async def resolve(host, port):
        """As the system reads numbers, in every form that it knows; names lead nowhere."""
        with suppress(OSError, UnicodeError, ValueError):
            return [row[4][0] for row in socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)]
        return []

    _, seen = asyncio.run(posted(f"http://{text}/", resolve))
    assert [address for address, _ in seen if why_not(ip_address(address))] == []
