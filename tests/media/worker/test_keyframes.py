"""When a publisher is asked for key frames: as fast as it hears, and no faster."""

from statistics import median

import pytest

from service.media.worker.keyframes import Course, KeyFrames

TICK_S = 0.02
DEAF_S = 0.3
ANSWER_S = 0.045


class Chromium:
    """A client with layers, as the worker's questions meet it: within 300 ms of one that it heard it hears none."""

    def __init__(self, layers=3):
        course = Course()
        self.layers = [KeyFrames(course) for _ in range(layers)]
        self.now = 100.0
        self.heard_at = 0.0
        self.coming = {}

    def step(self):
        self.now += TICK_S
        for layer in self.layers:
            self.ask(layer)
        for layer in [each for each, at in self.coming.items() if at <= self.now]:
            del self.coming[layer]
            layer.came()

    def ask(self, layer):
        if layer.due(self.now) and self.now - self.heard_at >= DEAF_S:
            self.heard_at = self.now
            self.coming[layer] = self.now + ANSWER_S

    def switch(self, place):
        """Seconds until that layer's key frame."""
        layer, begun = self.layers[place], self.now
        layer.want()
        self.ask(layer)
        while layer.wanted:
            self.step()
        return self.now - begun

    def rest(self, seconds):
        for _ in range(round(seconds / TICK_S)):
            self.step()


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.2, 0.28, 0.34, 1.0])
def test_quick_switches_wait_no_longer_than_the_client_is_deaf(pause_s):
    client = Chromium()
    took = []
    for turn in range(30):
        took.append(client.switch(turn % 3))
        client.rest(pause_s)
    assert max(took) < DEAF_S + ANSWER_S + 3 * TICK_S
    if pause_s > DEAF_S:
        assert median(took) < 0.07


def test_going_back_and_forth_is_no_slower():
    client = Chromium()
    client.layers[0].want()
    client.ask(client.layers[0])
    client.layers[0].wanted = False  # the viewer has changed its mind before it came
    client.rest(0.04)
    assert client.switch(1) < 0.4
    assert client.switch(0) < 0.4


def test_a_switch_does_not_wait_because_others_complain():
    client = Chromium()
    assert client.switch(1) < 0.07
    client.layers[1].complain()
    client.rest(0.34)
    assert client.layers[1].wanted
    assert client.switch(1) < 0.07


def test_what_was_heard_is_not_asked_again_before_it_can_be_answered():
    layer = KeyFrames(Course())
    layer.want()
    asked = [tick * TICK_S for tick in range(150) if layer.due(tick * TICK_S)]
    assert asked == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


def test_whoever_switches_without_end_makes_few_key_frames():
    client = Chromium()
    asked = 0
    for turn in range(500):
        client.layers[turn % 3].want()
        client.step()
    asked = sum(layer.asked for layer in client.layers)
    assert asked <= 10 * 3 * 4
