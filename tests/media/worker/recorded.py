"""Offers as clients wrote them: Chrome 156, aiortc, GStreamer's webrtcbin, ffmpeg and OBS."""

from itertools import count
from pathlib import Path

from service.media.worker.negotiate import answer
from service.media.worker.sections import Local, Negotiated

NAMES = ("chrome_pub", "chrome_sub", "chrome_both", "aiortc", "gstreamer", "ffmpeg", "obs")
LOCAL = Local(
    ufrag="Wk1x",
    pwd="3Yb1Q3JzX7y2o6EJ8m0zPq",
    fingerprint=("sha-256", ":".join(["0A"] * 32)),
    candidates=(("192.0.2.1", 40000), ("2001:db8::1", 40000)),
)


def offer(name: str) -> str:
    return (Path(__file__).parent / "offers" / f"{name}.sdp").read_text().replace("\n", "\r\n")


def answered(
    text: str, *, publish: bool = True, subscribe: bool = True, previous: Negotiated | None = None
) -> Negotiated:
    first = 1000 if previous is None else 2000
    return answer(text, LOCAL, publish=publish, subscribe=subscribe, previous=previous, new_ssrc=count(first).__next__)
