"""Reports that wait while the database is away: bounded, and what they say in the end is what the call becomes."""

from itertools import count
from random import Random
from uuid import UUID

import pytest

from service.core.calls import Actor
from service.core.vocabulary import ActorType, Topology
from service.dispatch.backlog import Backlog, in_the_end
from service.dispatch.media_reports import command_of
from service.media.backend import Report
from tests.core.story import CALL_ID, talking

MEDIA = Actor(ActorType.MEDIA, "here")


class Reporter:
    """Makes reports with the numbers of a worker."""

    def __init__(self, first=10):
        self.numbers = count(first)

    def peer(self, kind, user="ann"):
        return Report("app", UUID(CALL_ID), 1, next(self.numbers), f"peer.{kind}", user, f"{user}-phone")

    def stream(self, kind, stream_id="s1", user="ann", **fields):
        stream = {"stream_id": stream_id, "kind": "video", "source": "camera", "codec": "VP8", "layers": [], **fields}
        facts = {"stream": {"muted": False, **stream}}
        number = next(self.numbers)
        return Report("app", UUID(CALL_ID), 1, number, f"stream.{kind}", user, f"{user}-phone", facts)

    def end(self):
        return Report("app", UUID(CALL_ID), 1, next(self.numbers), "room.lost")


def told(reports):
    return [(one.kind, (one.facts.get("stream") or {}).get("codec")) for one in reports]


def test_few_are_kept_as_they_came():
    made, backlog = Reporter(), Backlog(most=4)
    reports = [made.stream("created"), made.peer("up"), made.peer("down"), made.stream("destroyed")]
    for report in reports:
        backlog.add(report)
    carried = []
    while backlog:
        carried.append(backlog.first)
        backlog.done()
    assert carried == reports


def test_a_stream_that_changes_all_the_time_takes_no_more_room():
    made, backlog = Reporter(), Backlog(most=8)
    backlog.add(made.peer("up"))
    backlog.add(made.stream("created"))
    for number in range(10_000):
        backlog.add(made.stream("changed", codec=f"codec {number}"))
        assert len(backlog) <= 9
    assert backlog.first.kind == "peer.up"


def test_streams_that_come_and_go_take_no_more_room():
    made, backlog = Reporter(), Backlog(most=8)
    for number in range(1_000):
        backlog.add(made.stream("created", f"s{number}"))
        backlog.add(made.stream("destroyed", f"s{number}"))
        assert len(backlog) <= 12


def test_what_is_under_way_stays_the_first():
    made, backlog = Reporter(), Backlog(most=2)
    first = made.stream("created")
    for report in (first, made.stream("changed", codec="H264"), made.stream("changed", codec="AV1")):
        backlog.add(report)
    assert backlog.first is first
    backlog.done()
    assert told([backlog.first]) == [("stream.changed", "AV1")]


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        (["created", "changed"], ["created"]),
        (["created", "destroyed"], []),
        (["changed", "destroyed"], ["destroyed"]),
        (["destroyed", "created"], ["destroyed", "created"]),
        (["destroyed", "created", "changed", "destroyed"], ["destroyed"]),
    ],
)
def test_the_last_state_of_a_stream_counts(kinds, left):
    made = Reporter()
    kept = in_the_end([made.stream(kind) for kind in kinds])
    assert [one.kind for one in kept] == [f"stream.{kind}" for kind in left]


def test_of_a_participant_only_the_last_word_counts_and_others_are_others():
    made = Reporter()
    kept = in_the_end([made.peer("up"), made.peer("up", "bob"), made.peer("down"), made.peer("up")])
    assert [(one.kind, one.user_id) for one in kept] == [("peer.up", "bob"), ("peer.up", "ann")]


def test_with_the_end_of_the_room_all_before_it_is_void():
    made = Reporter()
    kept = in_the_end([made.peer("up"), made.stream("created"), made.end()])
    assert [one.kind for one in kept] == ["room.lost"]


@pytest.mark.parametrize("seed", range(30))
def test_the_call_becomes_the_same(seed):
    random, made = Random(seed), Reporter()
    reports, alive = [], set()
    for number in range(60):
        stream_id = random.choice(sorted(alive)) if alive and random.random() < 0.7 else f"s{number}"
        kind = random.choice(("changed", "destroyed")) if stream_id in alive else "created"
        alive = alive - {stream_id} if kind == "destroyed" else alive | {stream_id}
        reports.append(made.stream(kind, stream_id, codec=random.choice(("VP8", "H264"))))
    start = random.randrange(60)  # what came before was carried
    assert streams_after(reports) == streams_after([*reports[:start], *in_the_end(reports[start:])])


def streams_after(reports):
    story = talking("bob", topology=Topology.ROUTED)
    for report in reports:
        story.command(command_of(report, MEDIA), 4)
    return sorted(story.call.leg("ann").streams, key=lambda stream: stream.stream_id)
