from __future__ import annotations

import math

from anon_tune.cli.front_plot import plot_front
from anon_tune.commands.front_marks import FrontPoint, Mark

ANCHORS = [FrontPoint(0.96, 0.95, Mark.IDENTITY), FrontPoint(0.31, 0.2, Mark.BLACK_OUT)]


def test_points_stand_where_their_values_are() -> None:
    middle = FrontPoint((0.96 + 0.31) / 2, (0.95 + 0.2) / 2, Mark.FRONT)
    lines = plot_front([*ANCHORS, middle], "test").splitlines()
    assert lines[0] == "accuracy over leakage (test split)"
    assert lines[1].endswith("I") and lines[1].startswith("  95% |") and len(lines[1]) == 60
    assert lines[10] == "  20% |B"
    (row,) = (line for line in lines[1:11] if "o" in line)
    assert abs(row.index("o") - 33) <= 1 and lines.index(row) in (5, 6)
    assert lines[12].split() == ["31%", "leakage", "96%"]
    assert lines[13] == "o on the front, I identity, B black-out"


def test_the_front_hides_what_lies_below_it_and_no_line_is_wider_than_asked() -> None:
    points = [FrontPoint(0.5, 0.5, mark) for mark in (Mark.FRONT, Mark.OTHER)]
    for width in (40, 60):
        lines = plot_front([*ANCHORS, *points], "validation", width).splitlines()
        assert sum(line.count("o") for line in lines[1:11]) == 1 and not any("." in line for line in lines[1:11])
        assert max(map(len, lines)) <= width
        assert all(line.isascii() for line in lines)


def test_without_a_trial_there_is_no_plot_and_equal_points_still_make_one() -> None:
    assert plot_front([], "test") == plot_front(ANCHORS, "test") == ""
    assert plot_front([FrontPoint(math.nan, 0.5, Mark.FRONT), FrontPoint(0.5, 0.5, Mark.FRONT)], "test") == ""
    assert "o" in plot_front([FrontPoint(0.5, 0.5, Mark.FRONT)] * 2, "test").splitlines()[10]
