"""Hearing a stream again as it is kept: does the chain close, and is the call what its events say?"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from service.core.calls import Call
from service.core.replay import Breach, Replay
from service.wire.chain import Head, head_of, misplaced
from service.wire.snapshots import call_snapshot
from service.wire.told import step

SILENT = frozenset({"seq", "connected_at", "device_id"})
"""What may change without an event: a leg's place while it waits for media, told with the next one."""


class Retelling:
    """The events of one call, heard in order; `begins_late`: its oldest events may have been forgotten.

    After the first break of the chain nothing more is said of the events: it would be the same fault again.
    """

    def __init__(self, call: Call, *, begins_late: bool) -> None:
        self._call = call
        self._begins_late = begins_late
        self._replay: Replay | None = Replay(call.initiator, call.ring_initiator)
        self._head = Head()
        self._last: Mapping[str, Any] | None = None
        self._broken = False

    def hear(self, text: str) -> Iterator[Breach]:
        """The next event as it is kept."""
        if self._broken:
            return
        envelope = orjson.loads(text)
        if self._last is None and self._begins_late and head_of(envelope).seq > 1:
            self._head, self._replay = before(envelope), None
        if fault := misplaced(self._head, envelope, received=False):
            self._broken = True
            yield Breach(4, fault, seq=head_of(envelope).seq)
            return
        self._head, self._last = head_of(envelope), envelope
        if self._replay:
            yield from self._replay.hear(step(envelope))

    def end(self, told: int) -> Iterator[Breach]:
        """When all has been heard; `told` is the highest number that any of its events has."""
        call = self._call
        if self._broken or (self._last is None and self._begins_late):
            return
        if max(told, self._head.seq) != call.seq:
            yield Breach(4, f"the call counts {call.seq} events, and the last one kept is {max(told, self._head.seq)}")
            return
        if self._head.hash != call.last_hash:
            yield Breach(4, "the chain does not end where the call says: its last event was replaced", seq=call.seq)
            return
        if self._replay:
            yield from self._replay.ends(call)
        if self._last is not None:
            yield from _differences(self._last["data"]["call"], call)


def before(envelope: Mapping[str, Any]) -> Head:
    """Where the stream stood before this event, by its own word."""
    return Head(head_of(envelope).seq - 1, str(envelope["data"].get("prev")))


def user_stream(texts: list[str], head: Head) -> Iterator[Breach]:
    """The newest events of a user's stream, which ends at `head`; older ones may have been forgotten."""
    at: Head | None = None
    for text in texts:
        envelope = orjson.loads(text)
        if fault := misplaced(at or before(envelope), envelope, received=False):
            yield Breach(4, fault, seq=head_of(envelope).seq)
            return
        at = head_of(envelope)
    if at and at != head:
        yield Breach(4, f"{head.seq} events were told of the user, and the last one kept is {at.seq}", seq=at.seq)


def _differences(shown: Mapping[str, Any], call: Call) -> Iterator[Breach]:
    """What the last event shows and what is kept, of which neither may be older."""
    kept = orjson.loads(orjson.dumps(call_snapshot(call)))
    if wrong := _unlike({**shown, "legs": None}, {**kept, "legs": None}):
        yield Breach(7, f"the last event shows another {wrong} than is kept", seq=call.seq)
    legs = {leg["user_id"]: leg for leg in shown["legs"]}
    for leg in kept["legs"]:
        told = legs.get(leg["user_id"])
        if told is not None and (wrong := _unlike(told, leg)):
            yield Breach(7, f"the last event shows another {wrong} than is kept", leg["user_id"], seq=call.seq)


def _unlike(shown: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    both = sorted((shown.keys() & kept.keys()) - SILENT)
    return ", ".join(name for name in both if shown[name] != kept[name])
