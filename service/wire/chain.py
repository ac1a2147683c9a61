"""The chain of a stream: whether an event is the one that follows, and in plain words why not (invariant 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core.vocabulary import EventType
from service.wire.feed import hash_of
from service.wire.user_feed import PRESENCE_CHANGED
from service.wire.webhook_events import DISABLED, TEST


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stands: the number and the hash of its last event."""

    seq: int = 0
    hash: str = ""


def head_of(envelope: Mapping[str, Any]) -> Head:
    """Where its stream stands after this event. One without a number is in no chain, and has the number 0."""
    data = envelope["data"]
    seq, digest = data.get("seq"), data.get("hash")
    return Head(seq if isinstance(seq, int) else 0, digest if isinstance(digest, str) else "")


def misplaced(head: Head, envelope: Mapping[str, Any], *, later: bool = False, received: bool = True) -> str | None:
    """Why the event is not the one that follows `head`; `None` when it is.

    `later`: the one that should follow is known to come afterwards. `received`: on the way something may have been left
    out of it, and said so.
    """
    seq, due = head_of(envelope).seq, head.seq + 1
    name = f"event {seq} ({envelope.get('type')})"
    if not (intact(envelope) or (received and partial(envelope))):
        return f"changed: what {name} says does not give its hash"
    if seq < due:
        return f"repeated: {name} comes after event {head.seq}"
    if seq > due and later:
        return f"reordered: {name} comes before event {due}"
    if seq > due:
        missing = f"event {due} is" if seq == due + 1 else f"events {due} to {seq - 1} are"
        return f"a gap: {missing} missing before {name}"
    if envelope["data"].get("prev") != head.hash:
        after = f"event {head.seq}" if head.seq else "the beginning"
        return f"foreign: {name} is whole, but does not follow {after} of this stream"
    return None


def intact(envelope: Mapping[str, Any]) -> bool:
    """Whether its own hash closes."""
    try:
        return bool(envelope["data"]["hash"] == hash_of(dict(envelope)))
    except (KeyError, TypeError, ValueError):
        return False


def unsealed(envelope: Mapping[str, Any]) -> bool:
    """Whether it is from before the chain: what is told of webhooks had no hash once, so nothing proves what it says.

    That gives nothing away: such an event is a chain of its own, which whoever writes it can seal.
    """
    return envelope.get("type") in {TEST, DISABLED} and not envelope["data"].keys() & {"prev", "hash"}


def partial(envelope: Mapping[str, Any]) -> bool:
    """Whether it says that something was left out.

    That is a signal to somebody else, with whom a user is busy, or what is too large for a webhook. Of such an event
    the next one proves the hash, and nothing proves what it says.
    """
    data = envelope["data"]
    redacted = data.get("redacted") is True and (_unsaid(envelope) or _without_company(envelope))
    return redacted or (data.get("truncated") is True and isinstance(data.get("links"), Mapping))


def _unsaid(envelope: Mapping[str, Any]) -> bool:
    signal = envelope["data"].get("signal")
    return envelope.get("type") == EventType.SIGNAL_SENT and isinstance(signal, Mapping) and signal.get("data") is None


def _without_company(envelope: Mapping[str, Any]) -> bool:
    told = envelope["data"].get("presence")
    if envelope.get("type") != PRESENCE_CHANGED or not isinstance(told, Mapping) or told.get("busy_with") is not None:
        return False
    devices = told.get("devices")
    return isinstance(devices, list) and all(
        isinstance(device, Mapping) and device.get("call_id") is None for device in devices
    )
