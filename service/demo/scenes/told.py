"""What the backend was told meanwhile: every event, signed, in order, also the one it refused at first."""

from collections import defaultdict

from service.client import Event
from service.client.feed import unbroken
from service.demo.receiver import Receiver
from service.demo.stage import Stage

LAST_ONE_S = 60.0


async def play(stage: Stage) -> None:
    """Compare what arrived by webhook with the feed that can be pulled."""
    tell, receiver = stage.tell, stage.receiver
    tell.scene("What the backend was told, by webhook")
    feed = await stage.backend.feed.caught_up()
    told: dict[str, list[Event]] = defaultdict(list)
    for event in feed:
        told[event.stream].append(event)
    calls = sum(events[0].call_id is not None for events in told.values())
    ids = {str(event.data["event_id"]) for event in feed}
    if await receiver.got(ids, 0):
        tell.say("Waiting for the last: what the killed service was sending is sent again when its claim runs out.")
    missing = await receiver.got(ids, LAST_ONE_S)
    tell.fact(
        f"Of the {len(feed)} events in the feed (GET /v1/events) every one arrived: of {calls} calls, and of "
        f"{len(told) - calls} users (their presence and devices).",
        not missing and calls > 0,
        f"{len(missing)} missing",
    )
    forged = [delivery for delivery in receiver.deliveries if not delivery.verified]
    tell.fact(
        f"Each of the {len(receiver.deliveries)} requests was signed (Standard Webhooks), and the signature is right.",
        bool(receiver.deliveries) and not forged,
        f"{len(forged)} not",
    )
    arrived = _by_stream(receiver, ids)
    tell.fact(
        "Call by call and person by person they came in order, from 1 and without a gap, and each carries the hash "
        "of the one before: nothing is missing and nothing was changed.",
        arrived.keys() == told.keys() and all(unbroken(events) for events in (*arrived.values(), *told.values())),
        {
            f"{way} {stream}": [event.seq for event in events]
            for way, streams in (("webhook", arrived), ("feed", told))
            for stream, events in streams.items()
            if not unbroken(events)
        },
    )
    _retried(stage, receiver)


def _by_stream(receiver: Receiver, ids: set[str]) -> dict[str, list[Event]]:
    """In order of arrival; one that came twice (the service was killed before it could note it) counts once."""
    found: dict[str, list[Event]] = defaultdict(list)
    wanted = set(ids)
    for delivery in receiver.accepted:
        if delivery.webhook_id in wanted:
            found[delivery.event.stream].append(delivery.event)
            wanted.remove(delivery.webhook_id)
    return found


def _retried(stage: Stage, receiver: Receiver) -> None:
    first = receiver.refused[0] if receiver.refused else None
    again = [delivery for delivery in receiver.accepted if first and delivery.webhook_id == first.webhook_id]
    if first is None or not again:
        stage.tell.fact("The first call.created was answered with a 500, on purpose, and came again.", holds=False)
        return
    wait = again[0].at - first.at
    early = [d for d in receiver.accepted if d.event.stream == first.event.stream and d.at < again[0].at]
    stage.tell.fact(
        f"The first call.created was answered with a 500, on purpose: it came again {wait:.1f} s later with the same "
        "id, and the later events of that call waited for it, so that the order held. No call waited for any of this.",
        len(receiver.refused) == len(again) == 1 and wait >= 1 and not early,
        f"{len(receiver.refused)} refused, {len(again)} again, {len(early)} too early",
    )
