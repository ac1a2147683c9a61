"""The mappings table of the vocabulary, row by row."""

import pytest

from service.core.calls import Policy
from service.core.commands import Ack, Answer
from service.core.cti import Format, mapped
from service.core.presence import Activity, External, Facts, KnownDevice, State, presence
from service.core.vocabulary import Platform
from tests.core.story import Story, at, phone, talking


def of(user, *calls, online=True, ringing_is_busy=False, **facts):
    phones = (KnownDevice(phone(user), Platform.IOS, connected_since=at(0) if online else None),)
    given = Facts(user, calls=tuple(calls), devices=phones, **facts)
    return presence(given, at(100), ringing_is_busy=ringing_is_busy)


def ringing(caller="ann", call_id="018f5e10-0000-7000-8000-000000000002"):
    story = Story("ben", caller=caller, call_id=call_id)
    story.do(Ack, "ben", 1)
    return story.call


def connecting():
    story = Story("ben")
    story.do(Answer, "ben", 1)
    return story.call


def calendar():
    return External("calendar", at(0), state=State.BUSY, activity=Activity.IDLE)


def unheard():
    return Story("ben", policy=Policy(notify_only=True)).call


@pytest.mark.parametrize(
    ("told", "csta", "tapi", "asterisk", "graph"),
    [
        (of("ben", online=False), None, None, "UNAVAILABLE", "Offline"),
        (of("ben"), "null", "IDLE", "NOT_INUSE", "Available"),
        (of("ben", unheard()), "null", "IDLE", "NOT_INUSE", "Available"),
        (of("ann", Story("ben").call), "initiated", "DIALING", "INUSE", "Busy / InACall"),
        (of("ben", ringing()), "alerting", "OFFERING", "RINGING", "Available"),
        (of("ben", ringing(), online=False), "alerting", "OFFERING", "RINGING", "Available"),
        (of("ben", ringing(), ringing_is_busy=True), "alerting", "OFFERING", "RINGING", "Busy / InACall"),
        (of("ben", connecting()), "connected", "CONNECTED", "INUSE", "Busy / InACall"),
        (of("ben", talking("ben").call), "connected", "CONNECTED", "INUSE", "Busy / InACall"),
        (
            of("ben", talking("ben").call, ringing("cem")),
            "alerting + connected",
            "OFFERING",
            "RINGINUSE",
            "Busy / InACall",
        ),
        (
            of("ben", talking("ben", "cem").call),
            "connected",
            "CONFERENCED",
            "INUSE",
            "Busy / InAConferenceCall",
        ),
        (of("ben", externals=(calendar(),)), "null", "IDLE", "BUSY", "Busy"),
        (of("ben", do_not_disturb=True), "null", "IDLE", "NOT_INUSE", "DoNotDisturb"),
        (
            of("ben", talking("ben").call, do_not_disturb=True),
            "connected",
            "CONNECTED",
            "INUSE",
            "DoNotDisturb",
        ),
    ],
)
def test_each_system_hears_its_own_word(told, csta, tapi, asterisk, graph):
    said = {form: mapped(told, form) for form in Format}
    assert said == {
        Format.CSTA: csta,
        Format.TAPI: tapi,
        Format.ASTERISK: asterisk,
        Format.GRAPH: graph,
    }


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("activity", Activity)
def test_no_presence_is_without_a_word_where_the_table_has_one(state, activity):
    said = External("desk", at(0), state=state, activity=activity)
    told = presence(Facts("ben", externals=(said,)), at(1))
    assert mapped(told, Format.ASTERISK)
    assert mapped(told, Format.GRAPH)
