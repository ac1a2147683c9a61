"""SRTP where the packets lie: the one adapter over pylibsrtp, whose own calls copy every packet twice (RFC 3711).

libsrtp keeps the roll-over counter and a replay window of 1,024 packets. Whether the hooks used here are there is
checked at import.
"""

from importlib.metadata import version
from typing import Any, Final

import pylibsrtp
from pylibsrtp import _binding

SRTP_ROOM: Final = 144
"""Bytes that a buffer needs beyond the RTP packet that is to be protected in it (libsrtp: SRTP_MAX_TRAILER_LEN)."""

SRTCP_ROOM: Final = 148
"""As SRTP_ROOM, for RTCP."""

CALL = "<ctype 'srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)'>"
CALLS = ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp")


class HookMissing(ImportError):
    """A library has changed where this project reaches below its public surface; the text names its version."""


def missing_hooks(binding: Any, session: Any) -> list[str]:
    """What of pylibsrtp's inner surface is not as used here."""
    faults = [
        name
        for name in CALLS
        if not hasattr(binding.lib, name) or str(binding.ffi.typeof(getattr(binding.lib, name))) != CALL
    ]
    return faults if hasattr(session, "_srtp") else [*faults, "Session._srtp"]


if _faults := missing_hooks(_binding, pylibsrtp.Session()):
    raise HookMissing(f"pylibsrtp {version('pylibsrtp')} lacks {', '.join(_faults)}, which SRTP in place is built on")

# Each takes a handle, a pointer to the packet and a pointer to its length, changes both and gives 0 or an error number.
protect_rtp = _binding.lib.srtp_protect
unprotect_rtp = _binding.lib.srtp_unprotect
protect_rtcp = _binding.lib.srtp_protect_rtcp
unprotect_rtcp = _binding.lib.srtp_unprotect_rtcp


def handle(session: pylibsrtp.Session) -> Any:
    """What libsrtp knows the session by. It lives as long as the session does."""
    return session._srtp[0]  # noqa: SLF001 - the hook that this adapter is for


class Window:
    """A caller's buffer as libsrtp and the socket want it: a pointer and a view, made once per buffer.

    `length` is the number that libsrtp reads and writes; one is enough, because nothing here is concurrent. A buffer
    cannot be resized while it is kept; `KEPT` bounds how many are.
    """

    __slots__ = ("_kept", "buffer", "data", "length", "size", "view")
    KEPT: Final = 64

    def __init__(self) -> None:
        self.length: Any = _binding.ffi.new("int *")
        self._kept: dict[int, tuple[bytearray, Any, memoryview]] = {}
        self.turn(bytearray(2048 + SRTCP_ROOM))

    def turn(self, buffer: bytearray) -> None:
        """Looks at that buffer from now on: `buffer`, its `data`, `view` and `size`."""
        kept = self._kept.get(id(buffer))
        if kept is None:
            if len(self._kept) >= self.KEPT:
                self._kept.clear()
            kept = self._kept[id(buffer)] = (buffer, pointer(buffer), memoryview(buffer))
        self.buffer, self.data, self.view = kept
        self.size = len(buffer)


def pointer(buffer: bytearray) -> Any:
    """Where the buffer's bytes are; keeps the buffer alive and its size fixed."""
    return _binding.ffi.from_buffer(buffer, require_writable=True)
