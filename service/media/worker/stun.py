"""Binding requests of connectivity checks and their answers (RFC 8489, RFC 8445), bytes in and bytes out.

An ICE-lite agent only ever answers, so requests are all that is read: whatever else arrives is `None` to `parse`.
"""

import hashlib
import hmac
import socket
import struct
from binascii import crc32
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

Address = tuple[str, int] | tuple[str, int, int, int]
"""A source as the socket tells it: host, port, and for IPv6 flow and scope."""

BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0101, 0x0111
COOKIE = 0x2112A442
HEADER = struct.Struct("!HHI12s")
PAIR = struct.Struct("!HH")
FINGERPRINT_MASK = 0x5354554E
REASONS = ((400, "Bad Request"), (401, "Unauthenticated"), (420, "Unknown Attribute"), (487, "Role Conflict"))


class Attribute(IntEnum):
    """The attributes of RFC 8489 and RFC 8445 that a binding may carry."""

    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029


KNOWN = frozenset(Attribute)
OPTIONAL = 0x8000
"""From here on an attribute may be ignored by who does not know it (RFC 8489, 14)."""


@dataclass(slots=True, frozen=True)
class Request:
    """A well-formed binding request with a right FINGERPRINT; not yet authenticated.

    `seal` is the integrity attribute to check, its value and where it begins. `unknown` are the attributes that the
    sender wants understood and this agent does not know.
    """

    data: bytes
    transaction: bytes
    username: str | None
    seal: tuple[Attribute, bytes, int] | None
    nominates: bool
    controlled: bool
    unknown: tuple[int, ...]

    @property
    def ufrag(self) -> str:
        """The part of USERNAME that the answering agent made (RFC 8445, 7.2.2)."""
        return (self.username or "").partition(":")[0]

    def signed_with(self, password: str) -> bool:
        """Whether the integrity attribute was made with that short-term password (RFC 8489, 9.1.3)."""
        if self.seal is None:
            return False
        kind, value, offset = self.seal
        made = _digest(self.data[:offset], kind, password, len(value))
        return hmac.compare_digest(value, made)


def parse(data: bytes) -> Request | None:
    """The binding request in a datagram; None for everything else, broken or without a right FINGERPRINT."""
    if len(data) < HEADER.size + 8 or len(data) % 4:
        return None
    kind, length, cookie, transaction = HEADER.unpack_from(data)
    if kind != BINDING_REQUEST or cookie != COOKIE or length != len(data) - HEADER.size:
        return None
    if PAIR.unpack_from(data, len(data) - 8) != (Attribute.FINGERPRINT, 4):
        return None
    if int.from_bytes(data[-4:], "big") != crc32(data[:-8]) ^ FINGERPRINT_MASK:
        return None
    return _read(data, transaction)


def _read(data: bytes, transaction: bytes) -> Request | None:
    """The attributes. What follows the integrity attribute is not covered by it and is ignored (RFC 8489, 14.5)."""
    values: dict[int, bytes] = {}
    seal: tuple[Attribute, bytes, int] | None = None
    unknown = []
    offset, end = HEADER.size, len(data) - 8
    while offset < end:
        kind, size = PAIR.unpack_from(data, offset)
        value = data[offset + 4 : offset + 4 + size]
        if offset + 4 + size > end:
            return None
        if kind == Attribute.MESSAGE_INTEGRITY and seal is None:
            seal = (Attribute.MESSAGE_INTEGRITY, value, offset)
        elif kind == Attribute.MESSAGE_INTEGRITY_SHA256:
            seal = (Attribute.MESSAGE_INTEGRITY_SHA256, value, offset)  # the stronger one is to be checked
            break
        elif seal is None:
            values.setdefault(kind, value)
            if kind < OPTIONAL and kind not in KNOWN:
                unknown.append(kind)
        offset += 4 + size + (-size % 4)
    username = values.get(Attribute.USERNAME)
    if seal is not None and not _fitting(seal):
        seal = None
    return Request(
        data=data,
        transaction=transaction,
        username=None if username is None else username.decode("utf-8", "replace"),
        seal=seal,
        nominates=Attribute.USE_CANDIDATE in values,
        controlled=Attribute.ICE_CONTROLLED in values,
        unknown=tuple(unknown),
    )


def success(request: Request, source: Address, password: str) -> bytes:
    """The answer to an authenticated check: where it came from, signed as the request was."""
    return _message(BINDING_SUCCESS, request, [(Attribute.XOR_MAPPED_ADDRESS, _mapped(source, request))], password)


def error(request: Request, code: int, password: str | None = None) -> bytes:
    """A refusal. 400 and 401 are unsigned (no `password`), the others are signed (RFC 8489, 9.1.4)."""
    reason = next(text for known, text in REASONS if known == code)
    attributes = [(Attribute.ERROR_CODE, bytes((0, 0, code // 100, code % 100)) + reason.encode())]
    if code == 420:
        attributes.append((Attribute.UNKNOWN_ATTRIBUTES, b"".join(kind.to_bytes(2, "big") for kind in request.unknown)))
    return _message(BINDING_ERROR, request, attributes, password)


def _message(kind: int, request: Request, attributes: Iterable[tuple[int, bytes]], password: str | None) -> bytes:
    body = b"".join(PAIR.pack(name, len(value)) + value + bytes(-len(value) % 4) for name, value in attributes)
    data = HEADER.pack(kind, len(body), COOKIE, request.transaction) + body
    if password is not None and request.seal is not None:
        seal, size = request.seal[0], len(request.seal[1])
        data += PAIR.pack(seal, size) + _digest(data, seal, password, size)
    data = _with_length(data, 8)
    return data + PAIR.pack(Attribute.FINGERPRINT, 4) + (crc32(data) ^ FINGERPRINT_MASK).to_bytes(4, "big")


def _with_length(data: bytes, following: int) -> bytes:
    """The message with a header that counts `following` bytes more, as digests and checksums want it."""
    return data[:2] + (len(data) - HEADER.size + following).to_bytes(2, "big") + data[4:]


def _digest(data: bytes, kind: Attribute, password: str, size: int) -> bytes:
    algorithm = hashlib.sha1 if kind is Attribute.MESSAGE_INTEGRITY else hashlib.sha256
    return hmac.digest(password.encode(), _with_length(data, 4 + size), algorithm)[:size]


def _fitting(seal: tuple[Attribute, bytes, int]) -> bool:
    """The lengths that RFC 8489 allows: 20 for SHA-1; 16 to 32 in whole words for SHA-256, which may be cut."""
    kind, value, _ = seal
    if kind is Attribute.MESSAGE_INTEGRITY:
        return len(value) == 20
    return 16 <= len(value) <= 32 and len(value) % 4 == 0


def _mapped(source: Address, request: Request) -> bytes:
    """XOR-MAPPED-ADDRESS; an IPv4 source seen through an IPv6 socket is told as IPv4."""
    host, port = source[0].partition("%")[0].removeprefix("::ffff:"), source[1]
    family, number = (2, socket.AF_INET6) if ":" in host else (1, socket.AF_INET)
    packed = socket.inet_pton(number, host)
    mask = (COOKIE.to_bytes(4, "big") + request.transaction)[: len(packed)]
    return struct.pack("!BBH", 0, family, port ^ (COOKIE >> 16)) + bytes(
        a ^ b for a, b in zip(packed, mask, strict=True)
    )
