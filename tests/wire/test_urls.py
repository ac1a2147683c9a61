from ipaddress import ip_address

import pytest

from service.wire.urls import LONGEST_URL, check_url, why_not

NOT_PUBLIC = (
    "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 "
    "172.31.255.255 192.0.0.8 192.0.0.171 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7 "
    "203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 "
    ":: ::1 ::ffff:8.8.8.8 ::ffff:127.0.0.1 ::8.8.8.8 64:ff9b::808:808 64:ff9b:1::1 100::1 fc00::1 fd12:3456::1 "
    "fe80::1 fe80::1%eth0 fec0::1 ff02::1 2001::1 2001:0:4136:e378::1 2001:20::1 2001:db8::1 2002:7f00:1::1 "
    "3fff::1 5f00::1 2606:4700::1111%eth0"
).split()
PUBLIC = (
    "8.8.8.8 1.1.1.1 100.63.255.255 100.128.0.1 172.32.0.1 192.0.1.1 223.255.255.255 2606:4700::1111 2a00::1".split()
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address):
    assert why_not(ip_address(address))


PRIVATE = "10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.31.255.255 192.168.1.1 ::1 fd12:3456::1 fe80::1%eth0"


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_the_setting_allows_networks_of_ones_own(address):
    own = address in PRIVATE.split() or address.startswith(("10.", "127.", "172.", "fc", "fe8"))
    assert (why_not(ip_address(address), allow_private=True) is None) is own


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address):
    assert why_not(ip_address(address)) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks/1?key=a%20b&c=~d",
        "http://example.com:8080/",
        "https://EXAMPLE.com.:443/x",
        "https://xn--bcher-kva.example/hook",
        "https://_acme.example.com/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:8443/",
    ],
)
def test_urls_that_a_receiver_may_have(url):
    assert check_url(url).hostname


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "https://"),
        ("javascript:alert(1)", "https://"),
        ("//example.com/", "https://"),
        ("example.com/hook", "https://"),
        ("https://ann:secret@example.com/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com/#here", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com:22/", "port"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:x/", "port"),
        ("https:///hook", "host"),
        ("https://-a.example/", "host"),
        ("https://a..example/", "host"),
        ("https://exam!ple.com/", "host"),
        ("https://" + "a." * 130 + "com/", "host"),
        ("https://[::1/", "Invalid"),
        ("https://[example.com]/", r".+"),
        ("https://example.com/a b", "percent-encoded"),
        ("https://example.com/\n", "percent-encoded"),
        ("https://example.com\\@127.0.0.1/", "percent-encoded"),
        ("https://bücher.example/", "punycode"),
        ("https://127.1/", "looks like an address"),
        ("https://2130706433/", "looks like an address"),
        ("https://0x7f.0.0.1/", "looks like an address"),
        ("https://0177.0.0.1/", "looks like an address"),
        ("https://example.0x7f/", "looks like an address"),
        ("https://localhost/", "local name"),
        ("https://a.localhost./", "local name"),
        ("https://printer.local/", "local name"),
        ("https://metadata.google.internal/", "local name"),
        ("https://intranet/", "local name"),
        ("https://127.0.0.1/", "loopback"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[::ffff:127.0.0.1]/", "not a public IPv6 address"),
        ("https://[64:ff9b::7f00:1]/", "not a public IPv6 address"),
        ("https://[fe80::1%25eth0]/", "not a public IPv6 address"),
        ("https://example.com/" + "a" * LONGEST_URL, "longer"),
    ],
)
def test_urls_that_are_refused(url, why):
    with pytest.raises(ValueError, match=why):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/hook",
        "http://localhost:9000/",
        "http://receiver:8080/",
        "http://[::1]:9000/",
        "http://10.1.2.3/",
    ],
)
def test_a_setting_allows_private_addresses(url):
    assert check_url(url, allow_private=True).hostname
    with pytest.raises(ValueError, match=r"public|local name"):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "http://127.1/", "http://127.0.0.1:22/", "http://0.0.0.0/"]
)
def test_the_setting_allows_nothing_else(url):
    with pytest.raises(ValueError, match=r".+"):
        check_url(url, allow_private=True)
