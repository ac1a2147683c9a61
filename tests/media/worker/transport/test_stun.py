import hashlib
import hmac
import struct
from binascii import crc32

import pytest
from aioice import stun as theirs

from service.media.worker import stun
from tests.media.worker.transport.checks import request

# RFC 5769, 2.1, the sample request
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1"
    "51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)


def test_the_sample_of_the_standard_is_read():
    sample = stun.parse(SAMPLE)
    assert (sample.username, sample.ufrag, sample.nominates, sample.controlled) == ("evtj:h6vY", "evtj", False, True)
    assert sample.signed_with("VOkJxbRl1RmTxUk/WvJxBt")
    assert not sample.signed_with("VOkJxbRl1RmTxUk/WvJxBT")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (("192.0.2.1", 32853), ("192.0.2.1", 32853)),
        (("2001:db8:1234:5678:11:2233:4455:6677", 32853, 0, 0), ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
        (("::ffff:192.0.2.1", 32853, 0, 0), ("192.0.2.1", 32853)),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::1", 1)),
    ],
)
def test_answers_are_understood_by_others(source, told):
    asked = stun.parse(bytes(request("here", "secret")))
    answer = theirs.parse_message(stun.success(asked, source, "secret"))
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == told
    assert answer.check_message_integrity(b"secret")
    refused = theirs.parse_message(stun.error(asked, 487, "secret"))
    assert refused.error_code == 487
    assert refused.check_message_integrity(b"secret")


@pytest.mark.parametrize("size", [16, 20, 32])
def test_a_check_signed_with_sha_256_is_answered_in_kind(size):
    body = b"\x00\x06\x00\x09here:them\x00\x00\x00"
    head = struct.pack("!HHI12s", 1, len(body) + 4 + size, stun.COOKIE, bytes(12))
    seal = hmac.digest(b"secret", head + body, hashlib.sha256)[:size]
    data = head[:2] + struct.pack("!H", len(body) + 12 + size) + head[4:] + body + struct.pack("!HH", 0x1C, size) + seal
    data += struct.pack("!HHI", 0x8028, 4, crc32(data) ^ 0x5354554E)
    asked = stun.parse(data)
    assert asked.signed_with("secret")
    assert not asked.signed_with("another")
    assert struct.pack("!HH", 0x1C, size) in stun.success(asked, ("192.0.2.1", 1), "secret")


def test_what_follows_the_signature_is_not_believed():
    signed = request("here", "secret")
    signed.attributes.pop("FINGERPRINT")
    signed.attributes["USE-CANDIDATE"] = None
    signed.add_fingerprint()
    read = stun.parse(bytes(signed))
    assert read.signed_with("secret")
    assert not read.nominates
