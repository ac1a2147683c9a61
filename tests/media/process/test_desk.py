"""The desk of a worker: a room that fails takes no other one with it, and what it told is numbered and kept."""

import json

import msgspec
import pytest

from service.media.worker.control import VERSION
from service.media.worker.desk import MOST_UNSENT, Desk, Line
from service.media.worker.messages import Welcome


class Simple:
    """A room that says what it is told to say."""

    def __init__(self, tell):
        self.tell = tell
        self.closed = False

    def set_members(self, members):
        if not members:
            raise KeyError("a mistake")

    def close(self):
        self.closed = True
        self.tell({"report": {"kind": "peer.down", "user_id": "ann", "device_id": None}})


class Counter:
    """A desk, the rooms it made and what it sent."""

    def __init__(self):
        self.sent, self.made, self.unsent, self.number = [], {}, 0, 0
        self.desk = Desk(
            self._make,
            Line(lambda message: self.sent.append(msgspec.to_builtins(message)), lambda: self.unsent),
            lambda rooms: Welcome(VERSION, 1, "w", 1, (), rooms),
        )
        self.say("hello", version=VERSION)

    def _make(self, request, tell):
        self.made[request.room] = Simple(tell)
        return self.made[request.room]

    def say(self, op, **fields):
        """Ask; everything that was sent from then on."""
        self.number += 1
        before = len(self.sent)
        self.desk.take(json.dumps({"op": op, "id": self.number, **fields}).encode())
        return self.sent[before:]

    def report(self, room, kind="peer.up"):
        self.made[room].tell({"report": {"kind": kind, "user_id": "ann", "device_id": None}})
        return self.sent[-1]["report"]


@pytest.fixture
def counter():
    counter = Counter()
    for room in ("one", "two"):
        counter.say("room.open", room=room, epoch=1, app_id="app")
    return counter


def test_reports_are_numbered_in_each_room(counter):
    numbers = [counter.report(room)["number"] for room in ("one", "one", "two", "one")]
    assert numbers == [1, 2, 1, 3]


def test_reports_are_said_again_from_where_they_are_missed(counter):
    for _ in range(4):
        counter.report("one")
    *rows, answer = counter.say("room.repeat", room="one", after=2)
    assert [row["report"]["number"] for row in rows] == [3, 4]
    assert answer["ok"] == {}


def test_who_comes_anew_hears_of_the_rooms_and_their_numbers(counter):
    counter.report("two")
    (answer,) = counter.say("hello", version=VERSION)
    assert [(room["room"], room["app_id"], room["number"]) for room in answer["ok"]["rooms"]] == [
        ("one", "app", 0),
        ("two", "app", 1),
    ]


def test_a_room_that_fails_is_told_as_lost_and_the_other_goes_on(counter, caplog):
    def act(room, now):
        if room is counter.made["one"]:
            raise RuntimeError("broken")

    counter.desk.guarded(act, 1.0)
    assert counter.sent[-1]["report"] == {
        "room": "one",
        "epoch": 1,
        "number": 1,
        "kind": "room.lost",
        "user_id": None,
        "device_id": None,
        "stream": None,
        "reason": "the room failed",
    }
    assert counter.made["one"].closed
    assert set(counter.desk.rooms) == {"two"}
    (line,) = caplog.records
    assert (line.call_id, line.app_id, line.epoch, line.getMessage()) == ("one", "app", 1, "a room failed")


def test_a_mistake_of_ours_is_not_the_askers(counter, caplog):
    (answer,) = counter.say("room.members", room="one", members=[])
    assert answer["error"]["code"] == "internal_error"
    (line,) = caplog.records
    assert (line.call_id, line.app_id, line.op, line.getMessage()) == ("one", "app", "room.members", "a request failed")


def test_a_room_that_closes_tells_nothing_any_more(counter):
    assert [sent["ok"] for sent in counter.say("room.close", room="one")] == [{}]


def test_opening_a_room_again_keeps_it_and_a_new_epoch_replaces_it(counter):
    first = counter.made["one"]
    counter.say("room.open", room="one", epoch=1)
    assert counter.made["one"] is first
    counter.say("room.open", room="one", epoch=2)
    assert first.closed
    assert counter.report("one")["epoch"] == 2


def test_what_is_ephemeral_is_left_out_when_nobody_reads(counter):
    notice = {"notice": {"kind": "speaker", "user_id": "ann"}}
    counter.made["one"].tell(notice)
    assert counter.sent[-1]["notice"] == {"room": "one", "epoch": 1, "kind": "speaker", "user_id": "ann"}
    before, counter.unsent = len(counter.sent), MOST_UNSENT
    counter.made["one"].tell(notice)
    assert len(counter.sent) == before
    assert counter.report("one")["number"] == 1
