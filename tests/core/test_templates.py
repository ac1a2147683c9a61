"""Templates: closed names and nothing else, and never longer than they may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.rules import Happening, Receiver
from service.core.templates import FIELDS, cut, template_fault, values, written
from service.core.vocabulary import EndReason
from tests.core.test_rules import ENDED, MISSED, PRESENCE

NAMES = {"cleo": "Cleopatra", "zoe": "Zoë"}


def read(template, happening=MISSED, receiver=None, longest=1_000):
    assert template_fault(template) is None
    return written(template, values(happening, receiver or Receiver("zoe"), NAMES), longest)


def test_every_field_has_a_value():
    for happening in (ENDED, MISSED, PRESENCE, Happening("device.removed", "now")):
        assert set(values(happening, Receiver(email="x@y.z"), {})) == set(FIELDS)


def test_what_there_is_not_is_empty():
    filled = values(Happening("device.removed", "now"), Receiver(email="x@y.z"), {"": "nobody", "XXXX": "nobody"})
    assert {name: value for name, value in filled.items() if value} == {
        "event.type": "device.removed",
        "event.time": "now",
    }
    assert written("[{user.id}]", {}, 20) == "[]"


def test_what_is_read():
    assert read("{user.name} missed a call from {caller.name}") == "Ben missed a call from Ann"
    assert read("Dear {receiver.name} ({receiver.id}): {event.type}") == "Dear Zoë (zoe): call.missed"
    assert read("{caller.id} {call.id}") == "ann c"
    assert read("{call.participants}") == "Ann, Ben, Cleopatra, Dora"
    assert read("{call.end_reason} {call.type} {call.state} {call.talk_s}s") == "no_answer audio_video ended 0s"
    assert read("{user.id} is {presence.state}{call.id}{caller.name}{call.talk_s}", PRESENCE) == "ben is busy"
    assert read("[{user.name}{user.id}]", ENDED) == "[]"
    assert read("at {event.time}\n\nBye ") == "at 2026-11-20T08:15:30.123Z\n\nBye"
    assert read("{receiver.name}", receiver=Receiver("nobody")) == "nobody"
    assert EndReason.NO_ANSWER.value == read("{call.end_reason}")


def test_braces_that_stand_for_themselves():
    assert read("{{user.name}} {{{user.name}}}") == "{user.name} {Ben}"


@pytest.mark.parametrize(
    "template",
    [
        "{user.email}",
        "{}",
        "{0}",
        "{user.name.__class__}",
        "{user.name!r}",
        "{user.name:>1000000}",
        "{user[name]}",
        "{ user.name }",
        "{USER.NAME}",
        "{user.name\n}",
        "{caller.name}{call.custom}",
    ],
)
def test_what_is_not_on_the_list_is_refused(template):
    assert template_fault(template).startswith("there is no such field; there are event.type, ")


@pytest.mark.parametrize("template", ["{", "}", "a { b", "{user.name}}", "{{user.name}", "{{{", "{user.name{"])
def test_a_lonely_brace_is_refused(template):
    assert template_fault(template) == "a brace that stands for itself is written twice"


def test_what_a_value_says_is_not_read_again_and_stays_in_its_line():
    names = {"zoe": "{caller.name}\r\nBcc: eve@example.com\x00\u2028{{"}
    filled = values(MISSED, Receiver("zoe"), names)
    assert written("{receiver.name}", filled, 500) == "{caller.name} Bcc: eve@example.com {{"


@given(st.text(), st.integers(1, 50))
def test_no_template_that_is_let_in_breaks_or_is_longer_than_it_may_be(template, longest):
    if template_fault(template) is None:
        assert len(written(template, values(MISSED, Receiver("zoe"), NAMES), longest)) <= longest


def test_a_value_is_cut_too():
    filled = values(MISSED, Receiver("zoe"), {"zoe": "z" * 5_000})
    assert written("{receiver.name}!", filled, 1_000) == "z" * 199 + "…!"
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
