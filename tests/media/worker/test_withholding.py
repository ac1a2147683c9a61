"""Pictures over a simulated path: estimate and layers together decide whether they go out."""

import pytest

from service.media.worker.layers import Encoding, Held, Want, allot
from tests.media.worker.links import Link

AUDIO_BPS = 140_000.0
LOOK_S = 0.2


class Shown:
    """One picture of one layer and its sound, over a link that carries nothing else."""

    def __init__(self, link, picture_bps):
        self.link = link
        self.picture_bps = picture_bps
        self.held = [Held()]

    def run(self, seconds):
        """Whether the picture went out, each time that was looked."""
        rows = []
        for _ in range(round(seconds / LOOK_S)):
            estimator = self.link.estimator
            estimate = estimator.bps if estimator.known else None
            wants = [Want((Encoding(self.picture_bps, 120),))]
            layer = allot(wants, self.held, estimate, self.link.now, AUDIO_BPS)[0]
            rows.append(layer is not None)
            self.send(LOOK_S, AUDIO_BPS + (self.picture_bps if layer is not None else 0.0))
        return rows

    def send(self, seconds, bps):
        """What is forwarded goes out whatever the estimate says."""
        link, until = self.link, self.link.now + seconds
        while link.now < until:
            link.now += 0.001
            link.debt += bps * 0.001 / 8
            while link.debt >= 300:
                link.debt -= 300
                link.send(300)
            link.tell()


def longest_without(rows):
    longest = count = 0
    for row in rows:
        count = 0 if row else count + 1
        longest = max(longest, count)
    return longest * LOOK_S


@pytest.mark.parametrize("picture_bps", [6_000, 17_000, 48_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tiny_picture_goes_out_whatever_happens(picture_bps, seed):
    link = Link(20e6, seed=seed)
    shown = Shown(link, picture_bps)
    assert all(shown.run(5))
    link.stall(20, every_s=1.0, longest_s=0.6)
    assert all(shown.run(20))
    link.bps = 120_000
    assert all(shown.run(10))


@pytest.mark.parametrize("picture_bps", [60_000, 200_000, 800_000])
@pytest.mark.parametrize("squeezed_s", [0.6, 3.0, 10.0])
def test_a_picture_is_back_soon_after_the_path_is_wide_again(picture_bps, squeezed_s):
    link = Link(20e6)
    shown = Shown(link, picture_bps)
    assert all(shown.run(5))
    link.bps = 180_000
    shown.run(squeezed_s)
    link.bps = 20e6
    shown.run(1.0)
    rows = shown.run(30)
    assert longest_without(rows) <= (2.0 if squeezed_s < 3 else 4.0 if squeezed_s < 10 else 8.0)
    assert all(rows[-50:])


def test_what_a_narrow_path_cannot_carry_is_tried_seldom():
    link = Link(250_000)
    shown = Shown(link, 400_000)
    shown.run(10)
    rows = shown.run(60)
    assert sum(rows) / len(rows) < 0.15
