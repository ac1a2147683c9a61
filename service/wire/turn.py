"""TURN credentials that expire: the shared-secret scheme of coturn's REST interface (`use-auth-secret`).

The user name is `expiry:user`, the password the base64 HMAC-SHA1 of the user name under the secret that the TURN server
has, too (draft-uberti-behave-turn-rest-00). No word is exchanged with the server.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import quote

PLAIN = "!$()*+,-./:;=?@_~"
"""Stands in a user name as it is. coturn drops requests of names with spaces, quotes or backslashes in silence."""
LONGEST_NAME = 255


@dataclass(slots=True, frozen=True)
class TurnConfig:
    """The TURN servers, and what signs. The first secret signs; the servers accept all of them while one is changed."""

    urls: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    ttl_s: int = 86_400


def turn_credential(secret: str, user: str, expires_at: int) -> tuple[str, str]:
    """User name and password, good until `expires_at` (seconds since the epoch)."""
    username = f"{expires_at}:{turn_user(user)}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def turn_user(user: str) -> str:
    """The same user in a form that every TURN server takes: plain ASCII, and of bounded length."""
    plain = quote(user, safe=PLAIN)
    return plain if len(plain) <= LONGEST_NAME else hashlib.sha256(user.encode()).hexdigest()
