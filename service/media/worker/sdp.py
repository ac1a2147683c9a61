"""Session descriptions as lines and attributes (RFC 8866): read with bounds, nothing understood yet.

Offers come from anybody who holds a token. `aiortc.sdp` answers a bad one with whatever its line of code raises, and
knows neither rids nor simulcast, so what the worker needs of the grammar is read here, and fails in one way only.
"""

import re
from dataclasses import dataclass, field

MAX_SIZE = 512 * 1024  # characters; Chrome's section for one received video has about 9,000
MAX_SECTIONS = 64
MAX_LINE = 4096

_MEDIA = re.compile(r"([a-z]{1,16}) ([0-9]{1,5})(?:/1)? ([A-Za-z0-9/.-]{1,32}) ([!-~]{1,32}(?: [!-~]{1,32}){0,127})")
_LINE = re.compile(r"[ -~\u00a0-\U0010ffff]*")  # no control characters, so that what is echoed stays one line
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

Attributes = dict[str, list[str]]


class OfferError(ValueError):
    """The offer cannot be answered. `denied`: not for what it says, but for what its sender may do."""

    def __init__(self, detail: str, *, denied: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.denied = denied


@dataclass(slots=True, frozen=True)
class Media:
    """One m= section: its line, and its attributes by name (one without a value has the value "")."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: Attributes = field(default_factory=dict)

    def first(self, name: str) -> str | None:
        values = self.attributes.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return self.attributes.get(name, [])


@dataclass(slots=True, frozen=True)
class Description:
    """A session description: the attributes of the session, and its sections in order. `origin` names the session."""

    attributes: Attributes
    media: tuple[Media, ...]
    origin: str = ""

    def first(self, media: Media, name: str) -> str | None:
        """An attribute that may stand in the section or, for all sections, before them."""
        values = media.attributes.get(name) or self.attributes.get(name)
        return values[0] if values else None

    def all(self, media: Media, name: str) -> list[str]:
        """As `first`, every value."""
        return media.attributes.get(name) or self.attributes.get(name, [])

    def direction(self, media: Media) -> str:
        """Sendrecv, sendonly, recvonly or inactive (RFC 8866, 6.7)."""
        for attributes in (media.attributes, self.attributes):
            for direction in _DIRECTIONS:
                if direction in attributes:
                    return direction
        return "sendrecv"


def number(text: str, most: int) -> int:
    """A decimal number from 0 to `most`.

    Raises:
        OfferError: it is none.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > most:
        raise OfferError(f"not a number up to {most}: {text[:20]!r}")
    return int(text)


def parse(text: str) -> Description:
    """Read a description.

    Raises:
        OfferError: it is too long, has too many sections, or a line is none.
    """
    if len(text) > MAX_SIZE:
        raise OfferError(f"the description is longer than {MAX_SIZE} characters")
    session: Attributes = {}
    attributes = session
    media: list[Media] = []
    origin = ""
    if not text.startswith("v=0"):
        raise OfferError("the description does not begin with v=0")
    for raw in text.split("\n"):
        line = raw.removesuffix("\r")
        if not line:
            continue
        if len(line) > MAX_LINE or line[1:2] != "=" or not _LINE.fullmatch(line):
            raise OfferError(f"not a line of a description: {line[:40]!r}")
        if line[0] == "a":
            name, _, value = line[2:].partition(":")
            attributes.setdefault(name, []).append(value.strip())
        elif line[0] == "m":
            media.append(_media(line[2:]))
            attributes = media[-1].attributes
        elif line[0] == "o":
            origin = " ".join(line[2:].split(" ")[:2])
    if not 0 < len(media) <= MAX_SECTIONS:
        raise OfferError(f"the description has {len(media)} sections, not 1 to {MAX_SECTIONS}")
    return Description(session, tuple(media), origin)


def _media(line: str) -> Media:
    found = _MEDIA.fullmatch(line.rstrip())
    if found is None:
        raise OfferError(f"not a media section: {line[:60]!r}")
    kind, port, protocol, formats = found.groups()
    return Media(kind, number(port, 65535), protocol, tuple(formats.split(" ")))
