import random
from collections.abc import Callable
from itertools import pairwise

from service.media.worker.speaker import Speakers, Speaking


class Conversation:
    """Voices in packets of 20 ms; `says` gives the level of each at a time."""

    def __init__(self) -> None:
        self.now = 10.0
        self.speakers = Speakers(self.now)
        self.told: list[tuple[float, Speaking]] = []

    def run(self, seconds: float, says: Callable[[str, float], int], who: str = "ab") -> list[str | None]:
        begin = len(self.told)
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            for key in who:
                self.speakers.hear(key, says(key, self.now))
            change = self.speakers.step(self.now)
            if change is not None:
                self.told.append((self.now, change))
        return [change.key for _, change in self.told[begin:]]


def level(**of: int) -> Callable[[str, float], int]:
    return lambda key, now: of.get(key, 127)


def test_who_speaks_is_told_soon():
    conversation = Conversation()
    assert conversation.run(1, level(a=25)) == ["a"]
    assert conversation.told[0][0] < 10.6


def test_nobody_speaks_in_silence_and_background():
    assert Conversation().run(5, level(a=70, b=60)) == []


def test_a_little_louder_is_not_louder():
    conversation = Conversation()
    assert conversation.run(3, level(a=30)) == ["a"]
    assert conversation.run(3, level(a=30, b=28)) == []
    assert conversation.run(0.5, level(a=30, b=20)) == []
    assert conversation.run(0.6, level(a=30, b=20)) == ["b"]


def test_a_click_is_not_a_speaker():
    conversation = Conversation()
    assert conversation.run(1, lambda key, now: 10 if key == "a" and now < 10.03 else 127) == []


def test_a_pause_between_sentences_keeps_the_speaker_and_silence_lets_go():
    conversation = Conversation()
    assert conversation.run(2, level(a=30)) == ["a"]
    assert conversation.run(1.0, level()) == []
    assert conversation.run(1, level(a=30)) == []
    assert conversation.run(3, level()) == [None]


def test_two_who_interrupt_each_other_do_not_flap():
    conversation = Conversation()
    changes = conversation.run(20, lambda key, now: 30 if (int(now / 0.25) % 2 == 0) == (key == "a") else 127)
    assert len(changes) <= 2


def test_changes_are_three_hundred_milliseconds_apart():
    conversation = Conversation()
    chance = random.Random(2)
    for _ in range(200):
        loud = chance.choice("abc")
        conversation.run(chance.random(), lambda key, now, loud=loud: 20 if key == loud else 80, "abc")
    times = [at for at, _ in conversation.told]
    assert len(times) > 5
    assert min(after - before for before, after in pairwise(times)) > 0.299


def test_who_leaves_does_not_speak():
    conversation = Conversation()
    assert conversation.run(1, level(a=30)) == ["a"]
    conversation.speakers.remove("a")
    assert conversation.run(1, level(b=40), "b") in ([None, "b"], ["b"])


def test_noise_is_not_taken_for_a_voice_as_easily():
    conversation = Conversation()
    for _ in range(60):
        conversation.now += 0.05
        conversation.speakers.hear("noise", 50, voice=False)
        conversation.speakers.hear("talk", 52)
        conversation.speakers.step(conversation.now)
    assert conversation.speakers.active == "talk"


def test_when_somebody_spoke_and_led():
    conversation = Conversation()
    conversation.run(1, level(a=30), "abc")
    conversation.run(2, level(b=30, a=50), "abc")
    conversation.run(2, level(b=30), "abc")
    assert conversation.speakers.spoken(conversation.now) == {"a": 1, "b": 0}
    assert conversation.speakers.led(conversation.now) == {"a": 3, "b": 0}
