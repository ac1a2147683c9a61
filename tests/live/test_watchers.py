"""Whose presence a socket hears of: its own user's, and that of those it asked for."""

import orjson

from service.live.watchers import Sighting, Watchers
from service.wire.user_feed import stream_of
from tests.live.house import House

APP = "app"


def seen(user_id, seq, *, visible_to="backend"):
    """A change as it is stored, with a companion in it."""
    presence = {
        "state": "busy",
        "busy_with": [{"user_id": "zoe", "call_id": "c1", "name": None}],
        "devices": [{"device_id": "d", "state": "busy", "call_id": "c1"}],
    }
    data = {"user_id": user_id, "seq": seq, "hash": "h", "presence": presence}
    text = orjson.dumps({"data": data, "timestamp": "t", "type": "presence.changed"}).decode()
    return Sighting(stream_of(APP, user_id), seq, text, visible_to)


class Street(House):
    """People at their windows."""

    def __init__(self):
        super().__init__()
        self.watchers = Watchers()

    def look(self, user, device=None, *, released=True, **options):
        guest = self.come(user, device, **options)
        self.watchers.come(guest.session)
        if released:
            self.watchers.release(guest.session)
        return guest

    def tell(self, *sightings):
        self.watchers.tell(sightings)


def heard(guest):
    events = [frame["event"]["data"] for frame in guest.outlet.sent if frame["type"] == "event"]
    return [(data["user_id"], data["seq"]) for data in events]


def test_what_somebody_asked_for_before_leaving_is_not_kept_for_ever():
    street = Street()
    ann, ben = street.look("ann"), street.look("ben")
    ann.session.close(1000, "gone")
    street.watchers.leave(ann.session)
    assert street.watchers.watch(ann.session, ["ben", "cleo"], 10)
    assert not street.watchers.concerned(stream_of(APP, "cleo"), 1)
    street.watchers.leave(ben.session)
    assert not street.watchers.concerned(stream_of(APP, "ben"), 1)


def last(guest):
    return guest.outlet.sent[-1]["event"]["data"]


def test_every_socket_hears_of_its_own_user_with_whom_it_is_busy():
    street = Street()
    phone, tablet, ben = street.look("ann"), street.look("ann", "tablet"), street.look("ben")
    street.tell(seen("ann", 1))
    assert heard(phone) == heard(tablet) == [("ann", 1)]
    assert heard(ben) == []
    assert [other["user_id"] for other in last(phone)["presence"]["busy_with"]] == ["zoe"]
    assert "redacted" not in last(phone)
    assert "cursor" not in phone.outlet.sent[-1]


def test_a_guest_and_a_socket_for_one_call_hear_of_nobody_by_themselves():
    street = Street()
    guest, called = street.look("ann", guest=True), street.look("ann", "x", only_call="c1")
    street.tell(seen("ann", 1))
    assert heard(guest) == heard(called) == []
    assert street.watchers.watch(guest.session, ["ann"], 10)
    street.tell(seen("ann", 2))
    assert heard(guest) == [("ann", 2)]


def test_who_asks_hears_of_others_without_their_company_unless_the_app_lets_users_see_it():
    street = Street()
    ann = street.look("ann")
    assert street.watchers.watch(ann.session, ["ben", "cem"], 10)
    street.tell(seen("ben", 4), seen("dan", 1))
    assert heard(ann) == [("ben", 4)]
    assert last(ann)["presence"]["busy_with"] is None
    assert last(ann)["presence"]["devices"][0]["call_id"] is None
    assert (last(ann)["presence"]["state"], last(ann)["hash"], last(ann)["redacted"]) == ("busy", "h", True)
    street.tell(seen("cem", 2, visible_to="users"))
    assert [other["user_id"] for other in last(ann)["presence"]["busy_with"]] == ["zoe"]
    assert "redacted" not in last(ann)


def test_what_comes_late_or_twice_is_dropped():
    street = Street()
    ann = street.look("ann")
    street.watchers.watch(ann.session, ["ben"], 10)
    street.watchers.watch(ann.session, ["ben"], 10)
    street.tell(seen("ben", 3), seen("ben", 3), seen("ben", 2), seen("ben", 7))
    assert heard(ann) == [("ben", 3), ("ben", 7)]


def test_what_is_told_before_the_welcome_follows_it():
    street = Street()
    ann = street.look("ann", released=False)
    street.tell(seen("ann", 1))
    assert heard(ann) == []
    street.watchers.release(ann.session)
    street.tell(seen("ann", 2))
    assert heard(ann) == [("ann", 1), ("ann", 2)]


def test_a_socket_hears_of_so_many_and_all_of_a_frame_or_none():
    street = Street()
    ann = street.look("ann")
    watchers, session = street.watchers, ann.session
    assert watchers.watch(session, ["b", "c", "ann"], 2), "the own user does not count"
    assert watchers.watch(session, ["b", "c"], 2), "nor does who was asked for before"
    assert not watchers.watch(session, ["c", "d"], 2)
    street.tell(seen("d", 1), seen("b", 1))
    assert heard(ann) == [("b", 1)]
    watchers.unwatch(session, ["b", "nobody"])
    assert watchers.watch(session, ["d"], 2)


def test_no_more_of_those_or_of_all_but_oneself():
    street = Street()
    ann, ben = street.look("ann"), street.look("ben")
    for guest in (ann, ben):
        street.watchers.watch(guest.session, ["c", "d"], 10)
    street.watchers.unwatch(ann.session, ["c", "ann"])
    street.tell(seen("c", 1), seen("d", 1), seen("ann", 1))
    assert heard(ann) == [("d", 1), ("ann", 1)]
    street.watchers.unwatch(ann.session)
    street.tell(seen("d", 2), seen("ann", 2))
    assert heard(ann) == [("d", 1), ("ann", 1), ("ann", 2)]
    assert heard(ben) == [("c", 1), ("d", 1), ("d", 2)]


def test_whoever_is_gone_leaves_nothing_behind():
    street = Street()
    ann = street.look("ann", released=False)
    street.watchers.watch(ann.session, ["ben"], 10)
    assert street.watchers.concerned(stream_of(APP, "ben"), 1)
    for _ in range(2):
        street.watchers.leave(ann.session)
    assert not street.watchers.concerned(stream_of(APP, "ben"), 1)
    assert not street.watchers.concerned(stream_of(APP, "ann"), 1)
    street.tell(seen("ann", 1), seen("ben", 1))
    assert heard(ann) == []


def test_another_app_s_user_of_the_same_name_is_somebody_else():
    street = Street()
    ann, stranger = street.look("ann"), street.look("ann", app="other")
    street.watchers.watch(stranger.session, ["ben"], 10)
    street.tell(seen("ann", 1), seen("ben", 1))
    assert heard(ann) == [("ann", 1)]
    assert heard(stranger) == []


def test_a_socket_that_breaks_keeps_nothing_from_the_others():
    street = Street()
    first, second = street.look("ann"), street.look("ann", "tablet")
    first.outlet.code = 1006  # the fake refuses to be written to
    street.tell(seen("ann", 1))
    assert heard(second) == [("ann", 1)]
