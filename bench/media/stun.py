"""The connectivity checks of one client (RFC 8445, RFC 8489): it sends binding requests, and answers them."""

import hmac
import os
import socket
import zlib
from struct import pack, unpack_from

COOKIE = 0x2112A442
REQUEST, SUCCESS, FAILURE = 0x0001, 0x0101, 0x0111
USERNAME, INTEGRITY, PRIORITY, USE_CANDIDATE = 0x0006, 0x0008, 0x0024, 0x0025
XOR_MAPPED, FINGERPRINT, CONTROLLED, CONTROLLING = 0x0020, 0x8028, 0x8029, 0x802A
HOST_PRIORITY = 0x7E0000FF
PEER_REFLEXIVE_PRIORITY = 0x6E0000FF


def attribute(kind, value):
    return pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind, transaction, attributes, password):
    """A whole message with MESSAGE-INTEGRITY and FINGERPRINT at its end."""
    head = pack("!HHI", kind, len(attributes) + 24, COOKIE) + transaction
    digest = hmac.digest(password, head + attributes, "sha1")
    body = attributes + attribute(INTEGRITY, digest)
    head = pack("!HHI", kind, len(body) + 8, COOKIE) + transaction
    return head + body + attribute(FINGERPRINT, pack("!I", zlib.crc32(head + body) ^ 0x5354554E))


def kind_of(data):
    """The message's kind and transaction; (None, None) for what is no STUN message."""
    if len(data) < 20 or data[0] > 3 or unpack_from("!I", data, 4)[0] != COOKIE:
        return None, None
    return unpack_from("!H", data)[0], bytes(data[8:20])


def attributes_of(data):
    found, place = {}, 20
    while place + 4 <= len(data):
        kind, size = unpack_from("!HH", data, place)
        found.setdefault(kind, bytes(data[place + 4 : place + 4 + size]))
        place += 4 + size + -size % 4
    return found


class Checks:
    """Both sides of the checks of one connection. `nominates` when this client offered (it is controlling)."""

    def __init__(self, *, nominates):
        self.nominates = nominates
        self.ufrag = os.urandom(4).hex()
        self.password = os.urandom(16).hex()
        self.remote = None
        self._tie = os.urandom(8)
        self._asked = set()

    def request(self):
        """The next binding request."""
        ufrag, password = self.remote
        transaction = os.urandom(12)
        self._asked.add(transaction)
        body = attribute(USERNAME, f"{ufrag}:{self.ufrag}".encode())
        body += attribute(PRIORITY, pack("!I", PEER_REFLEXIVE_PRIORITY))
        if self.nominates:
            body += attribute(CONTROLLING, self._tie) + attribute(USE_CANDIDATE, b"")
        else:
            body += attribute(CONTROLLED, self._tie)
        return message(REQUEST, transaction, body, password.encode())

    def take(self, data, source):
        """(answer to send or None, whether the pair is now known to work)."""
        kind, transaction = kind_of(data)
        if kind == REQUEST:
            nominated = USE_CANDIDATE in attributes_of(data)
            return self._response(transaction, source), nominated and not self.nominates
        if kind == SUCCESS and transaction in self._asked:
            self._asked.clear()
            return None, self.nominates
        return None, False

    def _response(self, transaction, source):
        address = unpack_from("!I", socket.inet_aton(source[0]))[0] ^ COOKIE
        mapped = pack("!BBHI", 0, 1, source[1] ^ COOKIE >> 16, address)
        return message(SUCCESS, transaction, attribute(XOR_MAPPED, mapped), self.password.encode())
