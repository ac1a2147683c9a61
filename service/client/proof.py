"""The proof that a feed is whole: no event of it is missing, changed, moved or from elsewhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.client.feed import Event
from service.wire.chain import Head, head_of, misplaced


class FeedError(ValueError):
    """The first place where a feed is broken; its text says in plain words how.

    `stream` and `seq` are those of the event.
    """

    def __init__(self, event: Event, fault: str) -> None:
        super().__init__(f"{_name(event)}: {fault}")
        self.stream = event.stream
        self.seq = head_of(event.envelope).seq


def verify_feed(
    events: Iterable[Event | Mapping[str, Any]],
    known: Mapping[str, Head] | None = None,
    *,
    call_id: str | None = None,
    from_the_start: bool = True,
) -> dict[str, Head]:
    """Prove that nothing of these events is missing, changed, reordered, repeated or foreign.

    They may be of one call or of a whole app, by pull, by socket or by webhook (each once), of all types: a feed of
    some types has gaps. Returns where each stream stands, to be given as `known` with the events that come later.
    With `call_id` events of anything else are refused. Without `from_the_start` a stream that is not known yet may
    begin with any event: the oldest events of an app are forgotten some day. Of an event with `partial` the place
    in the chain is proven, and not what it says: ask for the whole one.

    Of an older version's feed `webhook.test` and `webhook.disabled` are passed over, for they have no hash
    (`Event.unsealed`: from before the chain), and a user's devices and presence share one chain up to a point: it is
    the presence's, and whole with the events of both.

    Raises :class:`FeedError`, which names the first broken place.
    """
    told = [_event(event) for event in events]
    heads = dict(known or {})
    last = {(event.stream, head_of(event.envelope).seq): place for place, event in enumerate(told)}
    for place, event in enumerate(told):
        if call_id is not None and event.call_id != call_id:
            raise FeedError(event, f"foreign: {event.type} of {_name(event)} is not of the call {call_id}")
        if not event.data.get("seq") or event.unsealed:
            continue  # what nobody keeps (`speaker.changed`) has no number and is in no chain
        if _shared(event, heads):
            continue
        before = Head(head_of(event.envelope).seq - 1, str(event.data.get("prev")))
        head = heads.get(event.stream) or (Head() if from_the_start else before)
        later = last.get((event.stream, head.seq + 1), -1) > place
        if fault := misplaced(head, event.envelope, later=later):
            raise FeedError(event, fault)
        heads[event.stream] = head_of(event.envelope)
    return heads


def _shared(event: Event, heads: dict[str, Head]) -> bool:
    """Whether it follows the last event of the user's other chain, when both were one; moves that on.

    The hash in `prev` says so, and could say nothing else.
    """
    presence, devices = f"user {event.user_id}", f"devices of user {event.user_id}"
    if event.stream not in {presence, devices}:
        return False
    other = heads.get(devices if event.stream == presence else presence)
    if other is None or misplaced(other, event.envelope):
        return False
    if event.stream == presence:
        del heads[devices]
    heads[presence] = head_of(event.envelope)
    return True


def _event(event: Event | Mapping[str, Any]) -> Event:
    return event if isinstance(event, Event) else Event.of(event)


def _name(event: Event) -> str:
    return f"call {event.call_id}" if event.call_id else event.stream
