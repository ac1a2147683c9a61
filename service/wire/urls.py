"""Which addresses the service may send to: the pure rules, used when a webhook is registered and when it is called.

`check_url` looks at the text alone; `why_not` looks at one address, which at registration is a literal in the URL and
at connect time is what the name resolved to (`dispatch/guard.py` asks it for every address and connects to that one).

The list is explicit because Python 3.11's `is_global` lets multicast, NAT64, 6to4 and 192.0.0.0/24 through.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2_048
LETTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
"""A last label of this kind makes resolvers read the name as an IPv4 address (WHATWG URL, "ends in a number")."""
NO_HOST = "the host is not a name or an address"
LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa", "onion")
WEB_PORTS = (80, 443)
FIRST_FREE_PORT = 1_024
MAIL_PORTS = frozenset({25, 465, 587})

NOT_PUBLIC_V4: Mapping[IPv4Network, str] = MappingProxyType(
    {
        IPv4Network(network): why
        for network, why in (
            ("0.0.0.0/8", "this network"),
            ("10.0.0.0/8", "private"),
            ("100.64.0.0/10", "shared by carriers"),
            ("127.0.0.0/8", "loopback"),
            ("169.254.0.0/16", "link-local"),
            ("172.16.0.0/12", "private"),
            ("192.0.0.0/24", "protocol assignments"),
            ("192.0.2.0/24", "documentation"),
            ("192.88.99.0/24", "6to4 relay"),
            ("192.168.0.0/16", "private"),
            ("198.18.0.0/15", "benchmarking"),
            ("198.51.100.0/24", "documentation"),
            ("203.0.113.0/24", "documentation"),
            ("224.0.0.0/4", "multicast"),
            ("240.0.0.0/4", "reserved"),
        )
    },
)
PUBLIC_V6 = IPv6Network("2000::/3")
"""The only part of IPv6 that is given out; outside are loopback, mapped IPv4, NAT64, ULA, link-local, multicast."""
NOT_PUBLIC_V6: Mapping[IPv6Network, str] = MappingProxyType(
    {
        IPv6Network(network): why
        for network, why in (
            ("2001::/23", "protocol assignments, Teredo"),
            ("2001:db8::/32", "documentation"),
            ("2002::/16", "6to4"),
            ("3fff::/20", "documentation"),
        )
    },
)
PRIVATE: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")),
    IPv4Network("192.168.0.0/16"),
    *map(IPv6Network, ("::1/128", "fc00::/7", "fe80::/10")),
)
"""What `allow_private` permits: machines and networks of one's own."""


def why_not(address: IPv4Address | IPv6Address, *, allow_private: bool = False) -> str | None:
    """Why the service must not connect to this address, in a word or two; `None` for one that it may connect to.

    That is a public one, or with `allow_private` (development, tests) one of a private network or this machine.
    """
    if allow_private and any(address in network for network in PRIVATE):
        return None
    if isinstance(address, IPv4Address):
        return next((why for network, why in NOT_PUBLIC_V4.items() if address in network), None)
    if address.scope_id is not None or address not in PUBLIC_V6:
        return "not a public IPv6 address"
    return next((why for network, why in NOT_PUBLIC_V6.items() if address in network), None)


def check_url(url: str, *, allow_private: bool = False) -> SplitResult:
    """Take a receiver's URL apart. Raises `ValueError` with one plain sentence when it must not be used.

    `allow_private` (development, tests) permits private addresses and local names, nothing else.
    """
    if len(url) > LONGEST_URL:
        raise ValueError(f"the URL is longer than {LONGEST_URL} characters")
    if not LETTERS.fullmatch(url):
        raise ValueError("the URL has characters that must be percent-encoded, or a name that is not in punycode")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("the URL must begin with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL must not carry a user name or password")
    if "#" in url:
        raise ValueError("the URL must not have a fragment")
    _check_port(parts)
    _check_host(parts, allow_private=allow_private)
    return parts


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not a number from 1 to 65535") from None
    if port is not None and port not in WEB_PORTS and port < FIRST_FREE_PORT:
        raise ValueError("a port below 1024 other than 80 and 443 belongs to another kind of server")


def _check_host(parts: SplitResult, *, allow_private: bool) -> None:
    if "[" in parts.netloc:
        _check_literal(parts.hostname or "")
    check_host(parts.hostname or "", allow_private=allow_private)


def _check_literal(host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(NO_HOST) from None


def check_host(host: str, *, allow_private: bool = False) -> None:
    """As `check_url`, for a server's name or address alone."""
    host = host.removesuffix(".")
    try:
        address = ip_address(host)
    except ValueError:
        _check_name(host, allow_private=allow_private)
        return
    if why := why_not(address, allow_private=allow_private):
        raise ValueError(f"{host} is not a public address ({why})")


def _check_name(host: str, *, allow_private: bool) -> None:
    labels = host.split(".")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(NO_HOST)
    if NUMBER.fullmatch(labels[-1]):
        raise ValueError("the host looks like an address, but is not written as one")
    local = any(host == name or host.endswith(f".{name}") for name in LOCAL_NAMES)
    if not allow_private and (local or len(labels) == 1):
        raise ValueError(f"{host} is a local name")
