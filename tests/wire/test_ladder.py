"""The picture of a call: sound XML, nothing hidden in it, and nothing over anything else."""

import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from service.core.calls import Policy
from service.core.commands import Ack, Answer, HangUp, MediaConnected, Signal
from service.wire.drawing import COLOURS, cut, width_of, wrapped
from service.wire.ladder_rows import MOST_DEVICES, MOST_ROWS, columns, rows
from tests.core.proven import Proven, asleep
from tests.core.scenes import SCENES
from tests.core.story import nobody_home, person

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script><a href="https://evil.example">&\u202e"\ufffe'


def read(picture):
    return ET.fromstring(picture)  # noqa: S314 - made by this project itself


def texts(root):
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def boxes(root):
    """Where each text is, by the widths that the layout goes by."""
    for each in root.iter(f"{SVG}text"):
        size = float(each.get("font-size"))
        text = "".join(each.itertext())
        width = width_of(text, size)
        x = float(each.get("x")) - width * {"middle": 0.5, "end": 1}.get(each.get("text-anchor"), 0)
        y = float(each.get("y"))
        yield text, x, y - size * 0.75, x + width, y + size * 0.2


@pytest.mark.parametrize("name", SCENES)
def test_no_text_is_over_another_and_none_leaves_the_page(name):
    root = read(SCENES[name]().picture())
    width, height = float(root.get("width")), float(root.get("height"))
    placed = list(boxes(root))
    for text, left, top, right, bottom in placed:
        assert 0 <= left < right <= width + 1, text
        assert 0 <= top < bottom <= height, text
    for (one, *a), (other, *b) in combinations(placed, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (one, other)


@pytest.mark.parametrize(
    "call",
    [
        *(scene() for scene in SCENES.values()),
        Proven(nobody_home("ben")),
        Proven(*map(nobody_home, "abcdefgh"), policy=Policy(max_participants=9)),
    ],
)
def test_no_text_is_over_the_mark_that_it_is_about(call):
    root = read(call.picture())
    for row in root.iter(f"{SVG}g"):
        marks = [each for each in row.iter(f"{SVG}path") if each.get("fill") == "none"]
        for _, left, top, right, bottom in boxes(row):
            for mark in marks:
                x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)", mark.get("d")).groups())
                assert not (left < x < right and top < y < bottom), ET.tostring(row)


@pytest.mark.parametrize("name", SCENES)
def test_it_stands_alone(name):
    picture = SCENES[name]().picture()
    kinds = {each.tag.removeprefix(SVG) for each in read(picture).iter()}
    assert kinds <= set("svg title style rect g line text tspan polygon polyline path circle".split())
    assert re.findall(r"https?://|url\(|@import|href|on[a-z]+=", picture) == ["http://"]  # the name of SVG itself
    assert "<!" not in picture


def test_lanes_arrows_and_words_are_there():
    root = read(SCENES["missed"]().picture())
    told = texts(root)
    for lane in ("Ann", "ann-phone", "Hookswitch", "APNs", "e-mail", "Ben", "ben-phone · ios"):
        assert told.count(lane) == 2, lane
    for words in ("dial ben", "push 1  accepted in 45 ms", "push 3  accepted in 43 ms", "+20.000 s", "⋮ 40 s"):
        assert words in told
    assert "ring timeout: ben" in told
    assert any("phone probably off, or notifications disabled" in text for text in told)
    arrows = [each.get("class") for each in root.iter(f"{SVG}g") if each.find(f"{SVG}line") is not None]
    assert arrows.count("webhook") > 4
    assert "failed" in arrows
    assert arrows.count("unknown") == 6  # five that no device acknowledged, and the legend


def test_a_failure_is_dashed_and_what_nobody_acknowledged_is_dotted():
    root = read(SCENES["missed"]().picture())
    dashes = {
        group.get("class"): {line.get("stroke-dasharray") for line in group.findall(f"{SVG}line")}
        for group in root.iter(f"{SVG}g")
        if group.get("class") in {"failed", "unknown", "command"}
    }
    assert dashes == {"failed": {"6 4"}, "unknown": {"2 4"}, "command": {None}}


def test_a_name_cannot_break_out_and_cannot_turn_the_writing():
    call = Proven(replace(person("ben", *[]), user_id=HOSTILE, name=HOSTILE))
    picture = call.picture()
    root = read(picture)
    assert not list(root.iter(f"{SVG}script"))
    assert not list(root.iter(f"{SVG}a"))
    assert not set(picture) & set("\u202e\ufffe")
    assert "\ufffd" in picture


def test_nothing_secret_is_in_it():
    call = SCENES["missed"]()
    assert "id-0.052" not in call.picture()


@pytest.mark.parametrize(("letters", "least"), [("paper", None), ("box", 4.5)])
def test_texts_can_be_read_in_light_and_in_dark(letters, least):
    names = set(COLOURS) - {"paper", "box", "rail"} if least is None else {"ink", "dim"}
    for mode in (0, 1):
        for name in names:
            assert contrast(COLOURS[name][mode], COLOURS[letters][mode]) >= 4.5, (name, mode)


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_is_said_to_many_at_once_is_one_row():
    call = SCENES["twelve"]()
    drawn = call.drawn()
    made = rows(drawn.steps, columns(drawn.lanes))
    rung = [row for row in made if row.label == "ring"]
    assert [len(row.targets) for row in rung] == [7]
    pushes = [row for row in made if row.label.startswith("push 1")]
    assert sum(row.count for row in pushes) == 4
    assert sum(len(row.relays) for row in pushes) == 4


def test_events_for_one_webhook_share_a_row_in_a_burst():
    call = SCENES["by_a_backend"]()
    drawn = call.drawn()
    first = [row for row in rows(drawn.steps, columns(drawn.lanes)) if row.kind == "webhook"][:2]
    assert [row.label for row in first] == ["call.created, participant.invited, notification.failed"] * 2
    assert [row.note for row in first] == ["200", "200"]


def test_a_user_with_very_many_devices_has_a_lane_for_the_rest():
    call = Proven(asleep("ben", *(f"ben-{place}" for place in range(40))))
    made = columns(call.drawn().lanes)
    devices = [column for column in made if column.kind == "device" and column.name == "Ben"]
    assert len(devices) == MOST_DEVICES // 2
    assert devices[-1].about == f"{40 - MOST_DEVICES // 2 + 1} devices"
    read(call.picture())


def test_a_very_long_call_is_cut_and_says_so():
    call = Proven("ben")
    call.do(Ack, "ben", 0.1)
    call.do(Answer, "ben", 1)
    for user in ("ann", "ben"):
        call.do(MediaConnected, user, 1.5)
    for place in range(400):
        call.do(Signal, "ben" if place % 2 else "ann", 2 + place, type="chat")
    call.do(HangUp, "ben", 500)
    picture = call.picture()
    told = texts(read(picture))
    (gap,) = [text for text in told if text.endswith("rows are left out here")]
    assert int(gap.split()[0]) > 200
    assert len([text for text in told if text.startswith("+")]) <= MOST_ROWS
    assert "dial ben" in told
    assert "hang up" in told
    assert len(picture) < 200_000


def test_texts_are_cut_and_wrapped_to_what_fits():
    assert cut("a short one", 200) == "a short one"
    assert width_of(cut("a rather long text that does not fit", 80)) <= 80
    assert cut("漢字漢字漢字", 40).endswith("…")
    assert list(wrapped("ends after 3.5 s of talk", width_of("ends after 3.5"))) == ["ends after", "3.5 s of talk"]
    lines = list(wrapped("one two three four five six seven", 60))
    assert len(lines) > 3
    assert all(width_of(line) <= 60 for line in lines)
    assert " ".join(lines) == "one two three four five six seven"


def test_lanes_that_nobody_can_count_stay_within_bounds():
    call = Proven("ben")
    call.do(Answer, "ben", 1)
    for place in range(30):
        call.post(f"{place}.example.com")
    made = columns(call.drawn().lanes)
    hooks = [column for column in made if column.kind == "webhook"]
    assert [column.about for column in hooks] == ["webhook", "webhook", "webhook", "27 webhooks"]
