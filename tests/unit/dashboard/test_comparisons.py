from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from anon_tune.dashboard import comparisons
from anon_tune.dashboard.comparisons import Comparisons
from anon_tune.report.sections import PageSection


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the studies of each comparison that is drawn."""
    found: list[str] = []

    def draw(shown: list[str]) -> list[PageSection]:
        found.append("".join(shown))
        return [PageSection("summary", "", found[-1])]

    monkeypatch.setattr(comparisons, "comparison_sections", draw)
    return found


class Studies:
    """Stands for a `Watch` of studies, each with a key of one letter."""

    def __init__(self) -> None:
        self.snapshots = {key: SimpleNamespace(shown=key) for key in "abcd"}

    def study(self, key: str) -> Any:
        return SimpleNamespace(snapshot=self.snapshots[key]) if key in self.snapshots else None


def test_each_of_two_pages_has_its_own_studies_drawn_again_only_when_one_has_changed(drawn: list[str]) -> None:
    studies = Studies()
    pages = Comparisons(studies)  # type: ignore[arg-type]
    for _ in range(3):
        assert [pages.sections(keys)[0].html for keys in ("ab", "cd", "ba")] == ["ab", "cd", "ba"]
    assert drawn == ["ab", "cd", "ba"]
    studies.snapshots["c"] = SimpleNamespace(shown="C")
    assert [pages.sections(keys)[0].html for keys in ("ab", "cd", "ba")] == ["ab", "Cd", "ba"]
    assert drawn == ["ab", "cd", "ba", "Cd"]


def test_comparisons_of_pages_that_were_closed_are_forgotten(drawn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "_MOST_KEPT", 2)
    pages = Comparisons(Studies())  # type: ignore[arg-type]
    for keys in ("ab", "cd", "ac", "cd", "ab"):
        pages.sections(keys)
    assert drawn == ["ab", "cd", "ac", "ab"]


def test_one_study_or_an_unknown_one_is_no_comparison(drawn: list[str]) -> None:
    for keys in ("a", "ax", ""):
        assert "Tick two studies or more" in Comparisons(Studies()).sections(keys)[0].html  # type: ignore[arg-type]
    assert drawn == []
