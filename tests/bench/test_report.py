import math

import pytest

from bench.report import Goal, Report, Row, figure, spread
from bench.samples import Spread

NOTHING = Spread.of([])


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123"), (2.0, "2"), (0, "0")],
)
def test_a_figure_has_three_digits_that_matter(value, text):
    assert figure(value) == text


def test_a_missing_figure_is_a_dash():
    assert figure(math.nan) == "-"
    assert spread(NOTHING) == "-"


def test_a_spread_shows_its_range_only_when_there_is_one():
    assert spread(Spread.of([1.0, 2.0, 3.0])) == "2 (1 to 3)"
    assert spread(Spread.of([2.0, 2.0])) == "2"
    assert spread(Spread.of([2.0])) == "2"


def row(ours, theirs=None, *goals):
    beside = Spread.of([theirs]) if theirs else None
    return Row("1", "something", "ms", Spread.of([ours]), beside, "a peer", goals)


def test_a_goal_on_the_ratio():
    assert row(2.0, 1.0, Goal(2.0)).met
    assert row(2.1, 1.0, Goal(2.0)).met is False
    assert row(0.5, 1.0, Goal(0.5, least=True)).met
    assert row(0.4, 1.0, Goal(0.5, least=True)).met is False


def test_a_goal_on_our_own_figure():
    assert row(2.0, None, Goal(2, against="ours", unit="ms")).met
    assert row(3.0, None, Goal(2, against="ours", unit="ms")).met is False


def test_without_the_other_figure_there_is_no_verdict():
    lonely = Row("2", "cost", "ms", Spread.of([1.0]), NOTHING, "a peer", (Goal(2.0),))
    assert lonely.met is None
    assert lonely.cells()[-1] == ""


def test_of_two_goals_both_must_be_met():
    goals = (Goal(2.0), Goal(5, against="ours"))
    assert row(4.0, 2.0, *goals).met
    assert row(6.0, 3.0, *goals).met is False


def test_the_markdown_has_a_line_for_each_row():
    report = Report(
        ["2 cores"], [row(1.0, 2.0, Goal(2.0)), row(3.0, 1.0, Goal(2.0))], ["a peer is old"], ["| f | 1 % |"]
    )
    text = report.markdown()
    assert "| 1 | something | 1 ms | 2 ms: a peer | 0.5 x | ≤ 2 x | met |" in text
    assert "| 3 x | ≤ 2 x | MISSED |" in text
    assert "- 2 cores" in text
    assert "- a peer is old" in text
    assert "## Where the time went" in text
    assert text.endswith("\n")


def test_the_terminal_shows_the_same_cells():
    text = Report(["2 cores"], [row(1.0, 2.0, Goal(2.0))]).terminal()
    assert "0.5 x" in text
    assert "met" in text


def test_the_brief_table_has_the_medians_alone():
    report = Report(["a machine"], [row(2.0, 1.0, Goal(1.5)), row(3.0)])
    assert report.brief().splitlines()[2:] == [
        "| something | 2 ms | 1 ms: a peer | 2 x | ≤ 1.5 x | no |",
        "| something | 3 ms | a peer |  |  |  |",
    ]
