"""Names of WHIP and WHEP sessions: a session is known by its URL alone, at every replica, with nothing kept anywhere.

The name says whose connection it is and is signed with the app's secret, so nobody can guess or make one.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import astuple, dataclass

import orjson

SIGNED_BYTES = 18
LONGEST_NAME = 2_048
PURPOSE = b"hookswitch whip session"
ETAG_PURPOSE = b"hookswitch whip etag"


@dataclass(slots=True, frozen=True)
class MediaSession:
    """One connection that was made over HTTP, in that attempt of the leg. `own`: the device came in by it."""

    call_id: str
    user_id: str
    device_id: str | None
    pc: str
    own: bool
    attempt: int


def session_name(session: MediaSession, kid: str, secret: str) -> str:
    """The last part of the session's URL."""
    said = _encoded(orjson.dumps([kid, *astuple(session)]))
    return f"{said}.{_signature(said.encode(), PURPOSE, secret)}"


def key_of(name: str) -> str | None:
    """The id of the key that the name says it was signed with; `None` for what is no name."""
    read = _read(name)
    return read[0] if read else None


def session_of(name: str, secret: str) -> MediaSession | None:
    """The session, when the name was signed with this secret."""
    said, _, signature = name.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(said.encode(), PURPOSE, secret).encode()):
        return None
    read = _read(name)
    return read[1] if read else None


def etag_of(name: str, ufrag: str, secret: str) -> str:
    """The entity tag of a session while the client has these ICE credentials; another one after each restart."""
    return f'"{_signature(f"{name} {ufrag}".encode(), ETAG_PURPOSE, secret)}"'


def _read(name: str) -> tuple[str, MediaSession] | None:
    if len(name) > LONGEST_NAME or not name.isascii():
        return None
    said = name.partition(".")[0]
    try:
        match orjson.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))):
            case [str(kid), str(call_id), str(user_id), str() | None as device_id, str(pc), bool(own), int(attempt)]:
                return kid, MediaSession(call_id, user_id, device_id, pc, own, attempt)
    except (binascii.Error, ValueError):
        return None
    return None


def _signature(said: bytes, purpose: bytes, secret: str) -> str:
    key = hmac.new(secret.encode(), purpose, hashlib.sha256).digest()
    return _encoded(hmac.new(key, said, hashlib.sha256).digest()[:SIGNED_BYTES])


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
