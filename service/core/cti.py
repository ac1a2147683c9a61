"""Presence in the words of telephone systems: one table, after 2-vocabulary "Mappings for CTI systems"."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from service.core.presence import Activity, Presence, State


class Format(StrEnum):
    """CSTA connection states (ECMA-269), TAPI line call states, Asterisk device states, Microsoft Graph."""

    CSTA = "csta"
    TAPI = "tapi"
    ASTERISK = "asterisk"
    GRAPH = "graph"


class Look(StrEnum):
    """The rows of the table."""

    OFFLINE = "offline"
    IDLE = "online, idle"
    DIALING = "busy, dialing"
    RINGING = "online, ringing"
    RINGING_BUSY = "busy, ringing"
    IN_CALL = "busy, in_call"
    SECOND_RING = "busy, second ring"
    IN_CONFERENCE = "busy, in_conference"
    BUSY = "busy, idle"
    DO_NOT_DISTURB = "do_not_disturb"


FORMATS = tuple(Format)

# fmt: off
TABLE: Mapping[Look, tuple[str | None, str | None, str | None, str]] = MappingProxyType({
    #                     CSTA                    TAPI           Asterisk       Microsoft Graph
    Look.OFFLINE:        (None,                   None,          "UNAVAILABLE", "Offline"),
    Look.IDLE:           ("null",                 "IDLE",        "NOT_INUSE",   "Available"),
    Look.DIALING:        ("initiated",            "DIALING",     "INUSE",       "Busy / InACall"),
    Look.RINGING:        ("alerting",             "OFFERING",    "RINGING",     "Available"),
    Look.RINGING_BUSY:   ("alerting",             "OFFERING",    "RINGING",     "Busy / InACall"),
    Look.IN_CALL:        ("connected",            "CONNECTED",   "INUSE",       "Busy / InACall"),
    Look.SECOND_RING:    ("alerting + connected", "OFFERING",    "RINGINUSE",   "Busy / InACall"),
    Look.IN_CONFERENCE:  ("connected",            "CONFERENCED", "INUSE",       "Busy / InAConferenceCall"),
    Look.BUSY:           ("null",                 "IDLE",        "BUSY",        "Busy"),
    Look.DO_NOT_DISTURB: (None,                   None,          None,          "DoNotDisturb"),
})
# fmt: on

LOOKS: Mapping[Activity, Look] = MappingProxyType(
    {
        Activity.DIALING: Look.DIALING,
        Activity.CONNECTING: Look.IN_CALL,
        Activity.IN_CALL: Look.IN_CALL,
        Activity.IN_CONFERENCE: Look.IN_CONFERENCE,
    },
)


@dataclass(slots=True, frozen=True)
class Outline:
    """As much of a presence as the table asks for."""

    state: State
    activity: Activity
    do_not_disturb: bool
    second_ring: bool = False


def mapped(presence: Presence | Outline, form: Format) -> str | None:
    """The word of that system, spelled as in the table; `None` where it has none.

    Do-not-disturb goes first; a system without a word for it hears the rest of the user's presence.
    """
    column = FORMATS.index(form)
    if presence.do_not_disturb and TABLE[Look.DO_NOT_DISTURB][column]:
        return TABLE[Look.DO_NOT_DISTURB][column]
    return TABLE[look(presence)][column]


def look(presence: Presence | Outline) -> Look:
    """The row of the table that this presence is in, do-not-disturb aside."""
    if presence.second_ring:
        return Look.SECOND_RING
    if presence.activity is Activity.RINGING:
        return Look.RINGING_BUSY if presence.state is State.BUSY else Look.RINGING
    if presence.activity is not Activity.IDLE:
        return LOOKS[presence.activity]
    if presence.state is State.BUSY:
        return Look.BUSY
    return Look.IDLE if presence.state is State.ONLINE else Look.OFFLINE
