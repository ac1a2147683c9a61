import pytest

from service.media.worker.estimate import FLOOR_BPS, START_BPS, Estimator
from tests.media.worker.links import Link


def test_a_wide_path_is_used_within_three_seconds():
    assert Link(20e6).run(3.0) > 3e6


@pytest.mark.parametrize("source_bps", [300_000, 600_000])
def test_it_grows_although_the_source_has_less_than_the_path_carries(source_bps):
    assert Link(20e6).run(3.0, source_bps) > 2e6


@pytest.mark.parametrize("bps", [400_000, 800_000, 1_500_000, 4_000_000])
def test_a_narrow_path_is_filled_but_not_flooded(bps):
    link = Link(bps)
    link.run(10)
    link.longest_queue = 0.0
    rates = [link.run(0.5) for _ in range(80)]
    assert 0.65 * bps < sum(rates) / len(rates) < 1.05 * bps
    assert link.longest_queue < 0.35


@pytest.mark.parametrize("source_bps", [150_000, 500_000, 2_500_000])
@pytest.mark.parametrize(("every_s", "longest_s"), [(0.05, 0.03), (0.2, 0.08), (0.4, 0.15), (1.0, 0.25), (3.0, 0.5)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_busy_machine_at_the_other_end_is_no_full_path(source_bps, every_s, longest_s, seed):
    link = Link(20e6, seed=seed)
    link.run(3, source_bps)
    link.stall(40, every_s=every_s, longest_s=longest_s)
    rates = [link.run(0.25, source_bps) for _ in range(150)]
    assert min(rates) > 1.5 * source_bps


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_full_path_to_a_busy_machine_is_noticed(seed):
    link = Link(5e6, seed=seed)
    link.run(5, 3e6)
    link.stall(40, every_s=0.2, longest_s=0.08)
    link.bps = 800_000
    link.run(2.5, 3e6)
    rates = [link.run(0.5, 3e6) for _ in range(20)]
    assert max(rates) < 1_000_000


def test_a_path_that_becomes_narrow_is_noticed_within_a_second_and_a_half():
    link = Link(5e6)
    link.run(5, 3e6)
    link.bps = 800_000
    assert link.run(1.5, 3e6) < 900_000


def test_a_path_that_becomes_wide_again_is_used_again():
    link = Link(600_000)
    link.run(20)
    link.bps = 6e6
    assert link.run(40) > 2e6


@pytest.mark.parametrize("loss", [0.01, 0.05])
def test_random_loss_does_not_take_the_picture_away(loss):
    link = Link(5e6, loss=loss)
    link.run(10)
    rates = [link.run(0.5) for _ in range(40)]
    assert min(rates) > 1e6


def test_heavy_loss_takes_the_rate_down():
    assert Link(20e6, loss=0.4).run(5) < 300_000


def test_a_longer_way_is_not_a_queue_for_ever():
    link = Link(5e6)
    link.run(8, 2e6)
    link.delay_s = 0.25
    link.run(10, 2e6)
    assert link.run(20, 2e6) > 1.5e6


@pytest.mark.parametrize("source_bps", [150_000, 700_000, 2_500_000])
def test_a_hiccup_of_the_path_takes_little_and_is_forgotten_within_a_second(source_bps):
    link = Link(20e6)
    link.run(5, source_bps)
    for _ in range(3):
        link.delay_s = 0.27
        rates = [link.run(0.1, source_bps) for _ in range(4)]
        link.delay_s = 0.02
        rates += [link.run(0.1, source_bps) for _ in range(6)]
        assert min(rates) > 0.75 * source_bps
        assert link.run(3, source_bps) > 1.2 * source_bps


def test_without_feedback_receiver_reports_count():
    estimator = Estimator(0.0)
    estimator.loss(0.0, 0.1)
    assert not estimator.known
    for step in range(1, 50):
        estimator.loss(0.3, step * 0.5)
    assert estimator.known
    assert estimator.bps < 300_000
    for step in range(50, 200):
        estimator.loss(0.0, step * 0.5)
    assert estimator.bps > START_BPS


def sending(estimator: Estimator, bps: float, begin: float, seconds: float) -> float:
    """Packets of that rate, unacknowledged; the time afterwards."""
    for step in range(int(seconds * 100)):
        estimator.sent(step, int(bps / 800), begin + step / 100)
    return begin + seconds


def test_a_client_that_gets_more_than_it_can_take_says_so():
    estimator = Estimator(0.0)
    now = sending(estimator, 800_000, 0.0, 1.0)
    estimator.remb(500_000)
    assert estimator.bps == 500_000
    for step in range(10):
        estimator.loss(0.0, now + step * 0.25)
    assert estimator.bps <= 500_000
    now = sending(estimator, 800_000, now + 2.5, 1.0)
    estimator.remb(10)
    assert estimator.bps == FLOOR_BPS


def test_a_client_that_gets_little_cannot_know_that_there_is_more():
    estimator = Estimator(0.0)
    now = 0.0
    for _ in range(20):
        now = sending(estimator, 60_000, now, 1.0)
        estimator.remb(90_000)
        estimator.loss(0.0, now)
    assert estimator.bps >= START_BPS


@pytest.mark.parametrize("share", [0.9, 1.0, 1.1])
def test_a_client_that_knows_nothing_but_what_came_is_no_full_path(share):
    estimator = Estimator(0.0)
    now = 0.0
    for _ in range(20):
        now = sending(estimator, 160_000, now, 1.0)
        estimator.remb(160_000 * share)
        estimator.loss(0.0, now)
    assert estimator.bps >= START_BPS


def test_a_client_that_takes_more_without_complaint_shows_that_it_fits():
    estimator = Estimator(0.0)
    now = sending(estimator, 800_000, 0.0, 1.0)
    estimator.remb(120_000)
    now = sending(estimator, 300_000, now, 1.0)
    estimator.remb(300_000)
    assert estimator.bps == pytest.approx(300_000, rel=0.05)


def test_a_client_that_has_nothing_to_estimate_any_more_is_tried_again():
    estimator = Estimator(0.0)
    now = sending(estimator, 800_000, 0.0, 1.0)
    estimator.remb(120_000)
    assert estimator.bps == 120_000
    for _ in range(60):  # sound alone goes on, and with no picture no REMB comes
        now = sending(estimator, 50_000, now, 1.0)
        estimator.loss(0.0, now)
    assert estimator.bps > 300_000


def test_heavy_loss_counts_also_after_a_long_good_time():
    link = Link(1e9)
    link.run(30, 1.5e6)
    link.loss = 0.3
    assert link.run(8, 1.5e6) < 1.5e6


def test_silence_while_sending_halves_the_estimate():
    link = Link(5e6)
    before = link.run(3, 2e6)
    estimator = link.estimator
    for step in range(400):
        estimator.sent(step, 1000, link.now + step * 0.01)
        estimator.tick(link.now + step * 0.01)
    assert estimator.bps <= before / 4


def test_silence_while_nothing_is_sent_means_nothing():
    link = Link(5e6)
    before = link.run(3, 2e6)
    for step in range(100):
        link.estimator.tick(link.now + step * 0.1)
    assert link.estimator.bps == before
