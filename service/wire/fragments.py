"""Fragments of SDP that carry ICE alone (`application/trickle-ice-sdpfrag`, RFC 8840), as WHIP uses them (RFC 9725)."""

import re
from dataclasses import dataclass
from typing import Any

LONGEST_FRAGMENT = 32 * 1_024
MOST_CANDIDATES = 100
UFRAG = re.compile(r"^a=ice-ufrag:([A-Za-z0-9+/]{4,256})\r?$", re.MULTILINE)
PWD = re.compile(r"^a=ice-pwd:([A-Za-z0-9+/]{22,256})\r?$", re.MULTILINE)
CANDIDATE = re.compile(
    r"candidate:[A-Za-z0-9+/]{1,32} \d{1,5} [A-Za-z0-9]{1,16} \d{1,10} [!-~]{1,255} \d{1,5} typ [!-~][ -~]*"
)
MID = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,64}")
OF_THE_SESSION = ("a=ice-lite", "a=ice-options:", "a=group:BUNDLE")
OF_A_SECTION = ("m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of-candidates")


class FragmentError(ValueError):
    """A fragment that is none; the message is one plain sentence without any of the input."""


@dataclass(slots=True, frozen=True)
class Fragment:
    """The client's ICE credentials, and its candidates as browsers write them."""

    ufrag: str
    pwd: str
    candidates: tuple[dict[str, Any], ...]


def read_fragment(text: str) -> Fragment:
    """Understand what a client trickles. Raises :class:`FragmentError`."""
    if len(text) > LONGEST_FRAGMENT:
        raise FragmentError(f"a fragment has at most {LONGEST_FRAGMENT} characters")
    ufrag, pwd = ice_credentials(text)
    candidates: list[dict[str, Any]] = []
    mid, index = None, -1
    for line in text.splitlines():
        if line.startswith("m="):
            mid, index = None, index + 1
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:")
            if not MID.fullmatch(mid):
                raise FragmentError("a section has a mid that is none")
        elif line.startswith("a=candidate:"):
            candidates.append(_candidate(line.removeprefix("a="), mid, index))
    if len(candidates) > MOST_CANDIDATES:
        raise FragmentError(f"at most {MOST_CANDIDATES} candidates at a time")
    return Fragment(ufrag, pwd, tuple(candidates))


def ice_credentials(text: str) -> tuple[str, str]:
    """The first ufrag and password of an SDP or a fragment; bundled sections share them. Raises `FragmentError`."""
    ufrag, pwd = UFRAG.search(text), PWD.search(text)
    if ufrag is None or pwd is None:
        raise FragmentError("a=ice-ufrag and a=ice-pwd are needed")
    return ufrag[1], pwd[1]


def write_fragment(answer: str) -> str:
    """What a client has to know of an answer after an ICE restart (RFC 9725 section 4.3.3): ICE alone, once."""
    session, *sections = re.split(r"^(?=m=)", answer, flags=re.MULTILINE)
    carrier = next((section for section in sections if UFRAG.search(section)), "")
    lines = [line for line in session.splitlines() if line.startswith(OF_THE_SESSION)]
    lines += [line for line in carrier.splitlines() if line.startswith(OF_A_SECTION)]
    return "".join(f"{line}\r\n" for line in lines)


def _candidate(line: str, mid: str | None, index: int) -> dict[str, Any]:
    if not CANDIDATE.fullmatch(line):
        raise FragmentError("a candidate is none")
    if index < 0:
        raise FragmentError("a candidate stands before the first section")
    return {"candidate": line, "sdpMid": mid, "sdpMLineIndex": index}
