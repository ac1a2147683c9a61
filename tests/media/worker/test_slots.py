import random

import pytest

from service.media.worker.slots import Source, beside, choose_audio, choose_video, place


def fits(mid: str, stream: str) -> bool:
    return True


def sources(names: str, **of: dict) -> list[Source]:
    return [Source(name, f"user-{name}", **of.get(name, {})) for name in names.split()]


def test_all_are_heard_when_there_is_room():
    assert choose_audio(sources("a b c"), 3, ()) == ["a", "b", "c"]


def test_else_those_who_spoke_last():
    many = sources("a b c d", c={"recent": 0}, b={"recent": 1})
    assert choose_audio(many, 2, ()) == ["c", "b"]
    assert choose_audio(many, 3, ("d",)) == ["c", "b", "d"]
    assert choose_audio(many, 3, ("a",)) == ["c", "b", "a"]
    many = sources("a b c d", c={"recent": 0, "muted": True}, b={"recent": 1})
    assert choose_audio(many, 2, ("c",)) == ["b", "a"]
    assert choose_audio(many, 4, ()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("of", "shown", "chosen"),
    [
        ({}, (), ["a", "b"]),
        ({}, ("c", "d"), ["c", "d"]),
        ({"d": {"recent": 0}}, ("a", "b"), ["d", "a"]),
        ({"c": {"screen": True}, "d": {"recent": 0}}, ("a", "b"), ["c", "d"]),
        ({"b": {"wished": True}, "c": {"screen": True}}, (), ["b", "c"]),
        ({"a": {"muted": True}, "b": {"muted": True, "wished": True}}, ("a", "b"), ["c", "d"]),
        ({"a": {"muted": True, "recent": 0}, "b": {"muted": True}, "c": {"muted": True}}, ("b",), ["d", "a"]),
    ],
)
def test_last_n(of, shown, chosen):
    assert choose_video(sources("a b c d", **of), 2, shown) == chosen


def test_who_is_shown_keeps_the_slot():
    assert place(["0", "1"], {}, ["a", "b"], fits) == {"0": "a", "1": "b"}
    assert place(["0", "1"], {"0": "a", "1": "b"}, ["c", "b"], fits) == {"0": "c", "1": "b"}
    assert place(["0", "1"], {"0": "a", "1": "b"}, ["b", "a"], fits) == {"0": "a", "1": "b"}
    assert place(["0", "1"], {"0": "a", "1": "b"}, ["b"], fits) == {"1": "b"}
    assert place(["1"], {"0": "a", "1": "b"}, ["a", "b"], fits) == {"1": "b"}


PARTNERS = {"v0": "a0", "v1": "a1", "v2": "a2"}


@pytest.mark.parametrize(
    ("heard", "shown", "chosen", "after"),
    [
        ({"a1": "mic-x"}, {}, ["cam-x"], {"v1": "cam-x"}),
        ({"a0": "mic-x", "a1": "mic-y"}, {}, ["cam-y", "cam-x"], {"v0": "cam-x", "v1": "cam-y"}),
        ({"a0": "mic-x"}, {}, ["screen", "cam-x"], {"v0": "cam-x", "v1": "screen"}),
        ({"a0": "mic-x"}, {"v2": "cam-x"}, ["cam-x"], {"v2": "cam-x"}),
        ({"a0": "mic-x"}, {"v0": "cam-y"}, ["cam-x", "cam-y"], {"v0": "cam-y", "v1": "cam-x"}),
        ({"a0": "mic-x", "a1": "mic-y", "a2": "mic-z"}, {}, ["screen"], {"v0": "screen"}),
    ],
)
def test_pictures_come_beside_their_sound_where_that_is_free(heard, shown, chosen, after):
    rank = beside(PARTNERS, heard, {f"cam-{who}": f"mic-{who}" for who in "xyz"})
    assert place(list(PARTNERS), shown, chosen, fits, rank) == after


def test_a_slot_without_the_codec_is_left_out():
    def only(mid: str, stream: str) -> bool:
        return (mid, stream) != ("0", "h264")

    assert place(["0", "1"], {}, ["h264", "vp8"], only) == {"0": "vp8", "1": "h264"}
    assert place(["0"], {"0": "h264"}, ["h264"], only) == {}


def test_whatever_happens_slots_are_stable_and_nobody_is_in_two():
    chance = random.Random(5)
    slots = [str(number) for number in range(4)]
    now: dict[str, str] = {}
    for _ in range(2000):
        there = sources(" ".join(sorted(chance.sample("abcdefgh", chance.randint(1, 8)))))
        recent = list(there)
        chance.shuffle(recent)
        there = [Source(s.stream_id, s.user_id, recent=recent.index(s)) for s in there]
        chosen = choose_video(there, len(slots), set(now.values()))
        after = place(slots, now, chosen, fits)
        assert sorted(after.values()) == sorted(chosen)
        assert all(after[mid] == stream for mid, stream in now.items() if stream in chosen)
        now = after
