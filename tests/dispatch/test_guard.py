"""No forbidden address is ever connected to, however it is spelled and whoever answers for the name."""

import asyncio
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dispatch.guard import ForbiddenAddressError, Guard, SystemResolver
from service.wire.urls import why_not


class Network(httpcore2.AsyncNetworkBackend):
    """A network that only remembers where one wanted to go; addresses in `dead` do not answer."""

    def __init__(self, *dead):
        self.dead = dead
        self.tried = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109 - httpcore2's signature
        self.tried.append((host, port, timeout))
        if host in self.dead:
            raise httpcore2.ConnectError(f"{host} is dead")
        return httpcore2.AsyncMockStream([])

    @property
    def hosts(self):
        return [host for host, _port, _timeout in self.tried]


class Names:
    """A name server that gives the next of its answers each time."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def connect(network, resolve, host="hooks.example", **how):
    return await Guard(resolve, network, **how).connect_tcp(host, 443)


SPELLINGS = (
    "127.0.0.1 127.1 127.0.1 2130706433 017700000001 0x7f000001 0x7f.1 0177.0.0.1 127.0.0.1. localhost localhost. "
    "LOCALHOST 0 0.0.0.0 0x0 10.0.0.1 167772161 012.0.0.1 192.168.0.1 0xc0a80001 172.16.0.1 169.254.169.254 "
    "0xa9fea9fe 2852039166 0251.0376.0251.0376 100.64.0.1 192.0.0.1 192.0.0.171 198.18.0.1 203.0.113.1 224.0.0.1 "
    "239.255.255.250 255.255.255.255 ::1 :: 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:8.8.8.8 "
    "0:0:0:0:0:ffff:10.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::808:808 64:ff9b:1::7f00:1 2002:7f00:1:: "
    "2002:a00:1::1 2001:0:7f00:1:: 2001:db8::1 fc00::1 fd00::1 fe80::1 fe80::1%1 fec0::1 ff02::1 ff0e::1 100::1"
).split()


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_a_forbidden_address_is_connected_to(host):
    """Whatever the operating system's own resolver makes of it."""
    network = Network()
    with pytest.raises(httpcore2.ConnectError):
        await connect(network, SystemResolver(), host)
    assert network.tried == []


@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**128 - 1))
def test_only_permitted_addresses_are_ever_connected_to(number):
    address = str(ip_address(number))
    network = Network()

    async def attempt():
        with suppress(ForbiddenAddressError):
            await connect(network, Names([address]))

    asyncio.run(attempt())
    assert network.hosts == ([] if why_not(ip_address(address)) else [address])


async def test_the_connection_goes_to_the_address_that_was_checked():
    """DNS rebinding: public when asked first, this machine when asked again."""
    network, names = Network(), Names(["93.184.215.14"], ["127.0.0.1"])
    await connect(network, names)
    assert (network.hosts, names.asked) == (["93.184.215.14"], 1)


async def test_a_name_that_turns_private_is_refused_at_the_next_connection():
    network, names = Network(), Names(["93.184.215.14"], ["127.0.0.1"])
    guard = Guard(names, network)
    await guard.connect_tcp("hooks.example", 443)
    with pytest.raises(ForbiddenAddressError, match=r"hooks\.example leads to no public address \(loopback\)"):
        await guard.connect_tcp("hooks.example", 443)
    assert network.hosts == ["93.184.215.14"]


async def test_of_mixed_addresses_only_the_permitted_are_tried():
    network = Network("93.184.215.14")
    mixed = Names(["10.0.0.1", "93.184.215.14", "::ffff:10.0.0.1", "2606:4700::1111", "169.254.169.254"])
    await connect(network, mixed)
    assert network.hosts == ["93.184.215.14", "2606:4700::1111"]
    assert [timeout for _host, _port, timeout in network.tried] == [4.0, None]


async def test_at_most_three_addresses_are_tried():
    addresses = [f"93.184.215.{n}" for n in range(1, 9)]
    network = Network(*addresses)
    with pytest.raises(httpcore2.ConnectError, match=r"93\.184\.215\.3 is dead"):
        await connect(network, Names(addresses))
    assert network.hosts == addresses[:3]


async def test_a_name_without_addresses_and_one_that_nobody_knows():
    network = Network()
    with pytest.raises(ForbiddenAddressError, match=r"leads to no public address \(nothing\)"):
        await connect(network, Names([]))
    with pytest.raises(httpcore2.ConnectError, match="cannot be resolved"):
        await connect(network, SystemResolver(), "nobody.invalid")
    with pytest.raises(httpcore2.ConnectError, match="cannot be resolved"):
        await connect(network, SystemResolver(), "b\xfccher.example")
    assert network.tried == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "::1", "fd00::1", "169.254.1.1"])
async def test_a_setting_allows_networks_of_ones_own(host):
    network = Network()
    await connect(network, SystemResolver(), host, allow_private=True)
    assert len(network.tried) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::ffff:127.0.0.1", "ff02::1"])
async def test_the_setting_allows_nothing_else(host):
    network = Network()
    with pytest.raises(ForbiddenAddressError):
        await connect(network, SystemResolver(), host, allow_private=True)
    assert network.tried == []


async def test_a_name_is_looked_up_once_for_all_who_ask_meanwhile_and_survives_an_impatient_one():
    resolve = SystemResolver()
    first, second = (asyncio.create_task(resolve("localhost", port)) for port in (80, 80))
    await asyncio.wait([first], timeout=0)
    first.cancel()
    assert set(await second) <= {"127.0.0.1", "::1"}
    with pytest.raises(asyncio.CancelledError):
        await first
    assert resolve._asked == {}  # noqa: SLF001 - nothing may pile up there


async def test_a_hundred_names_that_nobody_answers_for_keep_no_other_one_waiting(monkeypatch):
    answered = threading.Event()

    def look_up(host, port, **_how):
        if host.startswith(b"silent"):
            answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolve = SystemResolver()
    silent = [asyncio.create_task(resolve(f"silent{n}.example", 443)) for n in range(100)]
    try:
        async with asyncio.timeout(5):
            assert await resolve("hooks.example", 443) == ["93.184.215.14"]
        assert not any(task.done() for task in silent)
    finally:
        answered.set()
        await asyncio.gather(*silent)
