import re

import pytest

from bench.figures.browsers import GOALS, rows
from tests.house.source import ROOT

NOTED = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/media/browser").glob("test_*.py"))


def test_what_browsers_measured_stands_beside_the_goals_of_the_design():
    measured = {
        "first frame after the connection (ms)": [90.0, 280.0],
        "5 % loss down: frames decoded of those sent (%)": [90.0],
        "freezes by an ICE restart (count)": [0],
    }
    first, loss, freezes = rows(measured)
    assert (first.what, first.unit, first.met) == ("Chromium: first frame after the connection", "ms", True)
    assert loss.met is False
    assert (freezes.unit, freezes.met) == ("", None)


@pytest.mark.parametrize("name", GOALS)
def test_every_goal_is_of_something_that_the_browser_tests_note(name):
    """Names are made of parts there: each part of a fixed text must be found."""
    text = name.rpartition(" (")[0]
    words = list(re.split(r"pub|sub|three layers|one layer|up|down|the worker was killed|[()]", text))
    assert all(part.strip(" :→,") in NOTED for part in words), words
