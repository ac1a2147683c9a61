"""What is kept of a call's quality: one row for each stream and viewer in a while, whatever the worker tells."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.dispatch.quality_means import QualityMeans
from tests.core.story import NOON

CALL, OTHER = UUID(int=1), UUID(int=2)
EVERY = timedelta(seconds=30)


def row(stream="s", to="bob", *, layer=None, **fields):
    way = "down" if to else "up"
    return {"stream_id": stream, "user_id": "ann", "to": to, "direction": way, "layer": layer, "packets": 1, **fields}


@pytest.fixture
def means():
    return QualityMeans(EVERY)


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def gather(means, *bitrates, call=CALL):
    """One sample every 5 seconds; what was due after each."""
    found = []
    for number, bitrate in enumerate(bitrates):
        means.add(call, 1, after(5 * number), [row(bitrate_bps=bitrate, packets=number)])
        found.append(means.due(after(5 * number)))
    return found


def test_the_first_sample_is_kept_at_once_and_then_one_mean_in_a_while(means):
    found = gather(means, *range(0, 1_300, 100))
    assert [number for number, due in enumerate(found) if due] == [0, 6, 12]
    (mean,) = found[6]
    assert (mean.call_id, mean.epoch, mean.at) == (CALL, 1, after(30))
    (stream,) = mean.streams
    assert stream["bitrate_bps"] == pytest.approx(350)
    assert stream["packets"] == 6


def test_viewers_and_layers_that_come_in_are_kept_apart(means):
    rows = [row("s", None, layer="low"), row("s", None, layer="high"), row("s", "bob"), row("s", "carl"), row("t")]
    means.add(CALL, 1, NOON, rows)
    (mean,) = means.due(NOON)
    assert mean.streams == rows


def test_a_viewer_whose_layer_changes_stays_one(means):
    means.add(CALL, 1, NOON, [row(layer="low")])
    means.add(CALL, 1, NOON, [row(layer="high")])
    (mean,) = means.due(NOON)
    assert [stream["layer"] for stream in mean.streams] == ["high"]


def test_what_was_not_measured_does_not_count(means):
    for rtt in (None, 10.0, None, 20.0):
        means.add(CALL, 1, NOON, [row(rtt_ms=rtt, jitter_ms=None)])
    (mean,) = means.due(NOON)
    assert mean.streams[0]["rtt_ms"] == pytest.approx(15)
    assert mean.streams[0]["jitter_ms"] is None


def test_the_share_that_was_lost_is_that_of_all_packets(means):
    means.add(CALL, 1, NOON, [row(packets=1_000, loss=0.0)])
    means.due(NOON)
    means.add(CALL, 1, after(5), [row(packets=1_900, loss=0.0)])
    means.add(CALL, 1, after(10), [row(packets=2_000, loss=0.5)])
    (mean,) = means.over(CALL, 1, after(11))
    assert mean.streams[0]["loss"] == pytest.approx(0.05)


def test_what_was_lost_on_the_way_up_was_sent_all_the_same(means):
    for packets, loss in ((900, 0.0), (950, 0.5)):
        means.add(CALL, 1, NOON, [row(to=None, packets=packets, loss=loss)])
    (mean,) = means.due(NOON)
    assert mean.streams[0]["loss"] == pytest.approx(0.05)


def test_what_is_left_is_kept_when_its_worker_has_no_more_to_tell(means):
    gather(means, 100, 200, 300)
    means.add(CALL, 2, after(12), [row(bitrate_bps=400)])
    means.add(OTHER, 1, after(12), [row(bitrate_bps=500)])
    (mean,) = means.over(CALL, 1, after(13))
    assert (mean.epoch, mean.at, mean.streams[0]["bitrate_bps"]) == (1, after(13), 250)
    assert means.over(CALL, 1, after(13)) == []
    assert [(m.call_id, m.epoch) for m in means.all_over(after(14))] == [(CALL, 2), (OTHER, 1)]
    assert means.due(after(60)) == []


def test_what_is_left_of_a_call_that_ended_is_kept_and_then_nothing_of_it(means):
    gather(means, 100, 200)
    gather(means, 100, call=OTHER)
    assert [mean.call_id for mean in means.due(after(30))] == [CALL]
    assert means.due(after(60)) == []
    (first,) = gather(means, 500)
    assert first  # it is a new beginning
