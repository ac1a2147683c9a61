"""What went from one to another, when, and what came of it."""

from xml.etree import ElementTree as ET

import pytest

from service.core.commands import Ack, Answer, Decline, HangUp, Silence
from service.core.machine import decide
from service.core.timeline import MOST_LAST, MOST_STEPS, timeline
from service.core.trace import trace
from service.core.vocabulary import AlertKind, DeclineReason
from service.core.witness import Evidence
from service.wire.feed import envelopes
from service.wire.ladder import ladder
from service.wire.told import heard
from service.wire.trace import trace_view
from tests.core.proven import Proven, asleep
from tests.core.scenes import SCENES
from tests.core.simulation import Simulation
from tests.core.story import at, person, two_devices


def told(call, only=None, *, kinds=None):
    """The steps as `seconds kind from > to: label (note)`; a `?` or `!` for what is unknown or failed."""
    drawn = call.drawn(only)
    names = {lane.id: lane.device_id or lane.id for lane in drawn.lanes}
    lines = []
    for step in drawn.steps:
        if kinds and step.kind not in kinds:
            continue
        mark = {"ok": "", "failed": "!", "unknown": "?"}[step.outcome]
        arrow = "<>" if step.both else ">"
        note = f" ({step.note})" if step.note else ""
        seconds = (step.at - at(0)).total_seconds()
        lines.append(
            f"{seconds:g} {step.kind}{mark} {names[step.source]} {arrow} {names[step.target]}: {step.label}{note}"
        )
    return lines


def test_a_call_from_dial_to_hang_up():
    call = SCENES["answered"]()
    assert told(call, kinds={"command", "alert", "ack", "event", "media"}) == [
        "0 command ann-phone > hookswitch: dial ben",
        "0 alert hookswitch > ben-phone: ring (socket)",
        "0 alert hookswitch > ben-laptop: ring (socket)",
        "0.012 ack ben-phone > hookswitch: 180 alerting",
        "0.012 event hookswitch > ann-phone: 180 ringing: ben",
        "0.03 ack ben-laptop > hookswitch: 180 alerting",
        "4.2 command ben-phone > hookswitch: answer",
        "4.2 event hookswitch > ann-phone: 200 answered: ben",
        "4.2 alert hookswitch > ben-laptop: stop (answered_elsewhere)",
        "4.61 media ann-phone > hookswitch: media up",
        "4.7 media ben-phone > hookswitch: media up",
        "4.7 media ann-phone <> ben-phone: media flows (from device to device)",
        "65.3 command ann-phone > hookswitch: hang up",
        "65.3 event hookswitch > ben-phone: call ended: hangup (BYE, Q.850 16)",
    ]


def test_a_phone_that_is_off():
    call = SCENES["missed"]()
    assert told(call, kinds={"alert", "timer", "event"}) == [
        "0.007 alert hookswitch > apns: push 1 (accepted in 45 ms)",
        "0.007 alert? apns > ben-phone: push 1",
        "10 alert hookswitch > apns: push 2 (accepted in 61 ms)",
        "10 alert? apns > ben-phone: push 2",
        "15.08 alert hookswitch > email: ring: ben (accepted in 120 ms)",
        "20 alert hookswitch > apns: push 3 (accepted in 43 ms)",
        "20 alert? apns > ben-phone: push 3",
        "60 timer hookswitch > hookswitch: ring timeout: ben",
        "60 event hookswitch > ann-phone: call ended: no_answer (SIP 480, Q.850 19)",
        "60.006 alert hookswitch > apns: stop (accepted in 45 ms)",
        "60.006 alert? apns > ben-phone: stop",
        "60.008 alert hookswitch > apns: missed call (accepted in 45 ms)",
        "60.008 alert? apns > ben-phone: missed call",
    ]


def test_the_push_that_the_device_acknowledged_is_known_to_have_come():
    call = Proven(asleep("ben"))
    call.push("ben", 0.05)
    call.push("ben", 10.05)
    call.do(Ack, "ben", 11, alerting=False)
    call.do(Ack, "ben", 12)
    assert told(call, kinds={"alert", "ack"})[1::2] == [
        "0.005 alert? apns > ben-phone: push 1",
        "10.005 alert apns > ben-phone: push 2",
        "12 ack ben-phone > hookswitch: 180 alerting",
    ]
    assert "11 ack ben-phone > hookswitch: heard" in told(call)


@pytest.mark.parametrize(
    ("outcome", "note"),
    [("gone", "410 Unregistered"), ("refused", "400 BadDeviceToken"), ("later", "503 ServiceUnavailable")],
)
def test_a_push_that_is_not_taken_goes_nowhere(outcome, note):
    call = Proven(asleep("ben"))
    call.push("ben", 0.05, outcome)
    assert told(call, kinds={"alert"}) == [f"0.005 alert! hookswitch > apns: push 1 ({note})"]


def test_a_retried_push_keeps_its_number():
    call = Proven(asleep("ben"))
    for when, outcome in ((0.05, "later"), (1.05, "taken"), (10.05, "taken")):
        call.push("ben", when, outcome)
    assert [line.split(": ")[1] for line in told(call, kinds={"alert"})] == [
        "push 1 (503 ServiceUnavailable)",
        "push 1 (accepted in 45 ms)",
        "push 1",
        "push 2 (accepted in 45 ms)",
        "push 2",
    ]


def test_a_sender_whose_clock_is_behind_does_not_send_before_the_call():
    call = Proven(asleep("ben"))
    call.push("ben", -3)
    assert told(call, kinds={"alert"})[0].startswith("0 alert hookswitch > apns: push 1")


def test_without_alerts_the_events_say_what_was_pushed():
    call = Proven(asleep("ben"))
    call.push("ben", 0.05)
    call.push("ben", 10.05, "gone")
    call.alerts.clear()
    assert told(call, kinds={"alert"}) == [
        "0.05 alert hookswitch > apns: push 1 (accepted)",
        "10.05 alert! hookswitch > apns: push 2 (Unregistered)",
    ]


def test_why_nothing_rang_is_a_step_of_its_own():
    assert told(SCENES["busy"](), kinds={"command", "event"}) == [
        "0 command ann-phone > hookswitch: dial ben",
        "0 event! hookswitch > hookswitch: not rung: ben (busy in another call: nothing rang)",
        "0 event hookswitch > ann-phone: call ended: busy (SIP 486, Q.850 17)",
    ]


def test_a_glare_says_that_both_dialled():
    assert "0.003 command ben-phone > hookswitch: answer (glare: both dialled)" in told(SCENES["glare"]())


def test_what_a_backend_does_comes_from_the_backend():
    call = SCENES["by_a_backend"]()
    assert told(call)[0] == "0 command backend > hookswitch: dial ben"
    assert "60 timer hookswitch > hookswitch: ring timeout: ben (settled 3.2 s late)" in told(call)


def test_click_to_dial_says_whose_devices_ring_first():
    lines = told(SCENES["click_to_dial"](), kinds={"command", "ack"})
    assert lines[:4] == [
        "0 command backend > hookswitch: dial ben (the caller's own devices ring first)",
        "0.02 ack ann-phone > hookswitch: 180 alerting",
        "2.5 command ann-phone > hookswitch: answer (now dials ben)",
        "2.52 ack ben-phone > hookswitch: 180 alerting",
    ]


def test_one_device_declines_while_the_other_rings_on():
    call = Proven(two_devices("ben"))
    call.do(Decline, "ben", 1, reason=DeclineReason.NOT_SUPPORTED)
    call.do(Decline, "ben", 2, device="ben-tablet", reason=DeclineReason.BUSY)
    assert told(call, kinds={"command"})[1:] == [
        "1 command ben-phone > hookswitch: decline (not_supported)",
        "2 command ben-tablet > hookswitch: decline (busy)",
    ]


def test_times_are_as_exact_as_those_of_the_events():
    """The call knows microseconds, its events milliseconds; what belongs together stays together."""
    call = Proven(two_devices("ben"))
    call.do(Ack, "ben", 1.0004567)
    call.do(Decline, "ben", 2.0009876)
    assert [line for line in told(call) if "tablet" not in line][2:] == [
        "1 ack ben-phone > hookswitch: 180 alerting",
        "1 event hookswitch > ann-phone: 180 ringing: ben",
        "2 command ben-phone > hookswitch: decline",
        "2 event hookswitch > ann-phone: call ended: declined (SIP 603, Q.850 21)",
    ]


def test_a_decline_is_told_once():
    assert sum("decline" in line for line in told(SCENES["declined"](), kinds={"command"})) == 1


def test_silence_is_told_to_every_device():
    call = Proven(two_devices("ben"))
    call.do(Ack, "ben", 1)
    call.do(Silence, "ben", 2)
    assert [line for line in told(call) if line.startswith("2 ")] == [
        "2 command ben-phone > hookswitch: silence",
        "2 alert hookswitch > ben-phone: silenced",
        "2 alert hookswitch > ben-tablet: silenced",
    ]


def test_8_a_woken_device_is_silenced_by_its_provider():
    call = Proven(asleep("ben", "phone", "tablet"))
    for device in ("phone", "tablet"):
        call.push("ben", 1, device=device)
    call.do(Silence, "ben", 3, "phone")
    call.push("ben", 3.25, kind=AlertKind.SILENCE, device="tablet")
    assert [line for line in told(call) if line.startswith("3")] == [
        "3 command phone > hookswitch: silence",
        "3.205 alert hookswitch > apns: silence (accepted in 45 ms)",
        "3.205 alert? apns > tablet: silence",
    ]


def test_a_device_that_rings_by_itself_was_not_rung():
    call = Proven(person("ben", *[]), "cleo")
    call.do(Ack, "ben", 3, device="ben-web")
    assert "3 ack ben-web > hookswitch: 180 alerting (found the call by itself)" in told(call)
    assert not any(line.endswith("ben-web: ring (socket)") for line in told(call))


def test_timers_of_several_that_are_due_at_once_are_one():
    assert told(SCENES["twelve"](), kinds={"timer"}) == [
        "60 timer hookswitch > hookswitch: ring timeout: kate and liam"
    ]


def test_media_through_a_worker():
    call = SCENES["twelve"]()
    lines = told(call, kinds={"media"})
    assert lines[:2] == ["11.1 media ann-phone <> media: media up", "11.2 media ben-phone <> media: media up"]
    assert len(lines) == 9


def test_webhooks_are_told_with_their_answers():
    call = SCENES["by_a_backend"]()
    hooks = [line for line in told(call, kinds={"webhook"}) if "webhook-2" in line]
    assert len(hooks) == len(call.said)
    assert hooks[0] == "0.005 webhook hookswitch > webhook-2: call.created (200 in 10 ms)"
    assert hooks[-1].split(" ", 1)[1] == "webhook! hookswitch > webhook-2: call.missed (502 Bad Gateway, try 3)"


def test_lanes_stand_from_the_apps_systems_over_the_caller_to_the_callees():
    lanes = SCENES["group"]().drawn().lanes
    kinds = "webhook device service provider device device device device".split()
    assert [lane.kind for lane in lanes] == kinds
    assert [(lane.name, lane.about) for lane in lanes] == [
        ("hooks.example.com", "webhook"),
        ("Ann", "ann-phone"),
        ("Hookswitch", ""),
        ("FCM", ""),
        ("Ben", "ben-phone"),
        ("Cleo", "cleo-phone · android"),
        ("Dora", "dora-web · web"),
        ("emil", "no device"),
    ]


def test_a_user_sees_its_own_part():
    call = SCENES["group"]()
    drawn = call.drawn("cleo")
    assert {step.user_id for step in drawn.steps} == {"cleo", None}
    assert {lane.user_id for lane in drawn.lanes} == {"cleo", None}
    assert "webhook" not in {step.kind for step in drawn.steps}
    assert "1.9 ack cleo-phone > hookswitch: 180 alerting" in told(call, "cleo")


def test_steps_are_in_the_order_of_time():
    for make in SCENES.values():
        times = [step.at for step in make().drawn().steps]
        assert times == sorted(times)


def test_a_very_long_call_is_cut_in_the_middle():
    call = Proven("ben")
    call.do(Answer, "ben", 1)
    call.do(HangUp, "ben", 2)
    for place in range(MOST_STEPS):
        call.post(f"{place}.example.com")
    drawn = call.drawn()
    assert len(drawn.steps) == MOST_STEPS
    assert drawn.left_out > MOST_STEPS
    assert drawn.steps[0].label == "dial ben"
    assert drawn.steps[-1].at > drawn.steps[-MOST_LAST - 1].at


def test_a_stop_that_was_pushed_is_not_told_twice():
    call = SCENES["declined"]()
    stops = [line for line in told(call, kinds={"alert"}) if ": stop" in line]
    assert stops == [
        "4.225 alert hookswitch > fcm: stop (accepted in 45 ms)",
        "4.225 alert? fcm > ben-tablet: stop",
    ]
    assert call.alert(AlertKind.STOP).taken


@pytest.mark.slow
def test_whatever_happens_in_a_call_can_be_told_and_drawn():
    """Every turn of a random life, with what was told so far (but for the dial)."""
    told_of = {}

    def machine(call, command, engaged, now):
        decision = decide(call, command, engaged, now)
        events = told_of.setdefault(call.id, [])
        events += [heard(envelope.text) for envelope in envelopes(decision.call.copy(), decision.events)]
        known = Evidence(now, tuple(events))
        story = trace(decision.call, known)
        drawn = timeline(story, known)
        ET.fromstring(ladder(story, drawn))  # noqa: S314 - made by this project itself
        lanes = {lane.id for lane in drawn.lanes}
        assert {end for step in drawn.steps for end in (step.source, step.target)} <= lanes
        assert all(each.verdict for leg in story.legs for each in (leg, *leg.devices))
        assert trace_view(story, drawn).model_dump_json(by_alias=True)
        return decision

    Simulation(11, machine=machine).run(800)
    assert len(told_of) > 20
