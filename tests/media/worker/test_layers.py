import pytest

from service.media.worker.layers import Encoding, Held, Want, allot, wished

THREE = (Encoding(150e3, 180, width=320), Encoding(500e3, 360, width=640), Encoding(1500e3, 720, width=1280))
UNREAD = (Encoding(150e3), Encoding(500e3), Encoding(1500e3))
ONE = (Encoding(1200e3, 720),)
AUDIO = 50e3


@pytest.mark.parametrize(
    ("want", "layer"),
    [
        (Want(THREE), 2),
        (Want(THREE, most="low"), 0),
        (Want(THREE, most="medium"), 1),
        (Want(THREE, most="high"), 2),
        (Want(THREE, height=170), 0),
        (Want(THREE, height=190), 0),
        (Want(THREE, height=300), 1),
        (Want(THREE, height=2000), 2),
        (Want(THREE, height=2000, most="medium"), 1),
        (Want(THREE, height=100, most="high"), 0),
        (Want(THREE, paused=True), None),
        (Want(()), None),
        (Want(ONE, most="low"), 0),
        (Want(THREE[:2], most="medium"), 0),
        (Want(THREE[:2], most="high"), 1),
        (Want((THREE[0], THREE[1], Encoding(0, 720, active=False))), 1),
        (Want((Encoding(0, 180, active=False), THREE[1]), most="low"), 1),
        (Want((Encoding(0, 180, active=False),)), None),
        (Want(THREE, width=320), 0),
        (Want(THREE, width=350), 0),
        (Want(THREE, width=600), 1),
        (Want(THREE, width=2000), 2),
        (Want(THREE, width=320, most="high"), 0),
        (Want(THREE, width=1000, most="medium"), 1),
        (Want(THREE, width=320, height=180), 0),
        (Want(THREE, width=320, height=360), 1),
        (Want(THREE, width=1280, height=180), 2),
        (Want((THREE[0], THREE[1], Encoding(0, 720, active=False, width=1280)), width=1280), 1),
        (Want(UNREAD, height=180), 0),
        (Want(UNREAD, width=320), 0),
        (Want(UNREAD, height=300), 1),
        (Want(UNREAD, width=640, height=360), 1),
        (Want(UNREAD, height=720), 2),
        (Want(UNREAD, height=2000), 2),
        (Want(UNREAD), 2),
        (Want(UNREAD[:2], height=100), 0),
        (Want(UNREAD[:2], height=400), 1),
        (Want(UNREAD[:1], height=100), 0),
        (Want((UNREAD[0], THREE[1], UNREAD[2]), height=100), 0),
        (Want((UNREAD[0], THREE[1], UNREAD[2]), height=190), 0),
        (Want((UNREAD[0], THREE[1], UNREAD[2]), height=300), 1),
        (Want((UNREAD[0], THREE[1], UNREAD[2]), height=500), 2),
    ],
)
def test_what_a_viewer_wants(want, layer):
    assert wished(want) == layer


@pytest.mark.parametrize(
    ("estimate", "given"),
    [
        (None, [2, 2, 2]),
        (10e6, [2, 2, 2]),
        (3.0e6, [2, 1, 1]),
        (2.0e6, [2, 0, 0]),
        (1.2e6, [1, 0, 0]),
        (0.6e6, [0, 0, 0]),
        (0.4e6, [0, 0, None]),
        (0.25e6, [0, None, None]),
        (0.14e6, [None, None, None]),
        (0.0, [None, None, None]),
    ],
)
def test_the_front_ones_get_more_but_everybody_comes_first(estimate, given):
    wants = [Want(THREE)] * 3
    assert allot(wants, [Held() for _ in wants], estimate, 0.0, AUDIO) == given


def test_small_pictures_stay_as_long_as_they_fit():
    small = Want((Encoding(60e3, 90), Encoding(400e3, 360)))
    assert allot([small, small], [Held(), Held()], 140e3, 0.0) == [0, 0]
    assert allot([small, small], [Held(), Held()], 140e3, 0.0, AUDIO) == [0, None]
    assert allot([small, small], [Held(), Held()], 50e3, 0.0, AUDIO) == [None, None]


def test_a_tiny_picture_is_never_withheld():
    tiny = Want((Encoding(20e3, 120),))
    held = [Held(), Held(layer=0)]
    rows = [allot([tiny, tiny], held, bps, now, AUDIO) for now, bps in enumerate((1e6, 30e3, 0.0, 30e3))]
    assert rows == [[0, 0]] * 4


def test_a_picture_that_is_shown_stays_while_most_of_its_lowest_layer_fits():
    held = [Held()]
    shown = [allot([Want(ONE)], held, bps, now) for now, bps in enumerate((2e6, 1.0e6, 0.9e6, 0.8e6, 1.0e6))]
    assert shown == [[0], [0], [0], [None], [None]]


def test_audio_takes_what_it_takes():
    assert allot([Want(ONE)], [Held()], 1.3e6, 0.0) == [0]
    assert allot([Want(ONE)], [Held()], 1.3e6, 0.0, 100e3) == [None]


def test_a_source_with_one_layer_is_shown_or_not():
    assert allot([Want(ONE)], [Held()], 1.4e6, 0.0, AUDIO) == [0]
    assert allot([Want(ONE)], [Held()], 1.2e6, 0.0, AUDIO) == [None]


def steps(held: Held, *estimates: float, want: Want | None = None, start: float = 0.0, step: float = 0.25) -> list:
    return [allot([want or Want(THREE)], [held], bps, start + n * step, AUDIO)[0] for n, bps in enumerate(estimates)]


def test_less_at_once_more_after_a_second():
    held = Held()
    assert steps(held, 5e6) == [2]
    assert steps(held, 1e6, start=1) == [1]
    assert steps(held, *[5e6] * 5, start=2) == [1, 1, 1, 1, 2]


def test_an_estimate_that_wavers_about_the_limit_moves_nothing():
    held = Held()
    assert steps(held, 1e6) == [1]
    limit = 1500e3 / 0.95 + 50e3
    assert set(steps(held, *[limit * 0.97, limit * 1.05] * 40)) == {1}


def test_a_picture_that_was_dropped_comes_back_only_for_sure():
    held = Held()
    assert steps(held, 1e6, 100e3) == [1, None]
    assert steps(held, 220e3, 100e3, 220e3, 100e3, start=1) == [None] * 4
    assert steps(held, *[1e6] * 5, start=2) == [None, 0, 0, 0, 1]


def test_a_withheld_picture_is_tried_after_two_seconds_and_more_seldom_when_that_was_in_vain():
    held = Held()
    assert steps(held, 1e6, 100e3, step=1.0) == [1, None]
    assert steps(held, *[100e3] * 28, start=1.25) == [None] * 7 + [0] * 4 + [None] * 16 + [0]


def test_a_trial_ends_when_it_fills_the_path_and_stays_when_it_shows_that_there_is_more():
    for after, stays in ((80e3, None), (220e3, 0)):
        held = Held()
        assert steps(held, 1e6, 100e3, 100e3, step=1.0) == [1, None, None]
        assert steps(held, 100e3, after, after, start=3) == [0, stays, stays]


def test_one_picture_is_tried_at_a_time():
    held = [Held(), Held()]
    rows = [allot([Want(THREE)] * 2, held, bps, now * 0.5) for now, bps in enumerate([1e6] + [90e3] * 9)]
    assert [sum(layer is not None for layer in row) for row in rows] == [2, 0, 0, 0, 0, 1, 1, 1, 1, 0]


def test_what_the_viewer_changed_is_done_at_once():
    held = Held()
    assert steps(held, 5e6) == [2]
    assert steps(held, 5e6, want=Want(THREE, most="low")) == [0]
    assert steps(held, 5e6, want=Want(THREE, most="medium")) == [1]
    assert steps(held, 5e6) == [2]
    assert steps(held, 5e6, want=Want(THREE, paused=True)) == [None]
    assert steps(held, 5e6) == [2]


def test_a_larger_wish_is_no_way_around_the_second():
    held = Held()
    assert steps(held, 1e6, want=Want(THREE, most="medium")) == [1]
    assert steps(held, 1e6) == [1]
    assert steps(held, *[5e6] * 5, start=1) == [1, 1, 1, 1, 2]
