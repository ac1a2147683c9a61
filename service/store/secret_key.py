"""The key of a service that was given none: made once, kept in the data folder beside the embedded PostgreSQL.

Whoever copies the folder copies both. It is for the service's own user alone (mode 0600).
"""

import os
import secrets
from pathlib import Path

from service.telemetry.logs import logger
from service.wire.sealing import SHORTEST_KEY

FILE = "secret.key"
READABLE_BY_OTHERS = 0o077


class SecretKeyError(Exception):
    """The key cannot be had; the message says why in one sentence, without the key."""


def own_key(folder: Path, *, make: bool) -> str | None:
    """The key in that folder. Where there is none it is made, or `None` when nobody wants it.

    Raises :class:`SecretKeyError`.
    """
    path = folder.expanduser().resolve() / FILE
    try:
        if make and not path.exists():
            _make(path)
        if not path.exists():
            return None
        if path.stat().st_mode & READABLE_BY_OTHERS:
            raise SecretKeyError(f"others may read {path}: chmod 600 it")
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SecretKeyError(f"the key in {path} cannot be used: {reason}") from None
    if len(key) < SHORTEST_KEY:
        raise SecretKeyError(f"the key in {path} is shorter than {SHORTEST_KEY} characters")
    return key


def _make(path: Path) -> None:
    """Whole or not there: of several processes that begin at once, the first one's is everybody's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - with a mode
            file.write(f"{secrets.token_urlsafe(32)}\n".encode())
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
        logger("app").info("made a key for credentials of push services: keep it with the database", file=str(path))
    except FileExistsError:
        return
    finally:
        draft.unlink()
