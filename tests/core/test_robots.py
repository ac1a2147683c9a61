import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.robots import Action, Script, Step, script
from service.core.vocabulary import DeclineReason


def answers(after_s):
    return Step(Action.ANSWER, after_s)


def hangs_up(after_s):
    return Step(Action.HANGUP, after_s)


def declines(after_s, reason=DeclineReason.NONE):
    return Step(Action.DECLINE, after_s, reason)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("test:answer", (answers(0),)),
        ("test:answer@3s", (answers(3),)),
        ("test:answer@250ms", (answers(0.25),)),
        ("test:answer@1.5s", (answers(1.5),)),
        ("test:answer@3600s", (answers(3600),)),
        ("test:answer@1s:hangup@5s", (answers(1), hangs_up(5))),
        ("test:answer:hangup", (answers(0), hangs_up(0))),
        ("test:answer@2s:hangup", (answers(2), hangs_up(0))),
        ("test:decline", (declines(0),)),
        ("test:decline@2s", (declines(2),)),
        ("test:decline:do_not_disturb", (declines(0, DeclineReason.DO_NOT_DISTURB),)),
        ("test:decline@500ms:no_answer", (declines(0.5, DeclineReason.NO_ANSWER),)),
        ("test:busy@0s", (declines(0, DeclineReason.BUSY),)),
        ("test:busy@1s", (declines(1, DeclineReason.BUSY),)),
        ("test:silent", ()),
    ],
)
def test_a_name_is_a_script_for_a_device_that_rings(name, steps):
    assert script(name) == Script(steps, offline=False, ack=True, error=None)


def test_busy_is_not_rung_at_all():
    assert script("test:busy") == Script((), busy=True, ack=True, error=None)


def test_offline_has_no_device_and_acknowledges_nothing():
    assert script("test:offline") == Script((), offline=True, ack=False, error=None)


@pytest.mark.parametrize("name", ["ann", "", "test", "Test:answer", "tests:answer", " test:answer", "a test:busy"])
def test_ordinary_users_have_no_script(name):
    assert script(name) is None


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("test:", "'test:' is not like test:answer@1s:hangup@5s"),
        ("test:answer@", "'test:answer@' is not like test:answer@1s:hangup@5s"),
        ("test:answer@3", "'test:answer@3' is not like test:answer@1s:hangup@5s"),
        ("test:answer@3m", "'test:answer@3m' is not like test:answer@1s:hangup@5s"),
        ("test:answer@-3s", "'test:answer@-3s' is not like test:answer@1s:hangup@5s"),
        ("test:answer@3601s", "'test:answer@3601s' is not like test:answer@1s:hangup@5s"),
        ("test:answer@٣s", "'test:answer@٣s' is not like test:answer@1s:hangup@5s"),
        ("test:answer@1s:hangup@5s:answer", "'test:answer@1s:hangup@5s:answer' is not like test:answer@1s:hangup@5s"),
        ("test:answer:HANGUP", "'test:answer:HANGUP' is not like test:answer@1s:hangup@5s"),
        ("test:answer:decline", "'test:answer:decline': answer takes no decline"),
        ("test:busy:now", "'test:busy:now': busy takes no now"),
        ("test:silent:hangup", "'test:silent:hangup': silent takes no hangup"),
        ("test:silent@3s", "'test:silent@3s': there is no test user of that kind"),
        ("test:offline@3s", "'test:offline@3s': there is no test user of that kind"),
        ("test:sleep", "'test:sleep': there is no test user of that kind"),
        ("test:hangup", "'test:hangup': there is no test user of that kind"),
        (
            "test:decline:tired",
            "'test:decline:tired': reasons are none, error, do_not_disturb, no_answer, busy, not_supported",
        ),
        (
            "test:decline:busy@3s",
            "'test:decline:busy@3s': reasons are none, error, do_not_disturb, no_answer, busy, not_supported",
        ),
    ],
)  # fmt: skip
def test_a_misspelt_name_says_what_is_wrong_and_rings_nowhere(name, error):
    assert script(name) == Script((), offline=True, ack=False, error=error)


@given(st.text(alphabet="test:answdclihgupboyfm@0123.5_ \0é", max_size=40).map("test:".__add__))
def test_no_name_breaks_the_reader(name):
    read = script(name)
    assert read is not None
    assert (read.error is None) or not read.steps
    assert all(0 <= step.after_s <= 3600 for step in read.steps)
