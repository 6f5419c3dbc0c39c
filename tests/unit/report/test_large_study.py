"""A page with more trials than a browser can draw says what it leaves out, and a page shows money that was spent."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.pareto import ParetoFront
from anon_tune.report import importance_trials, selection, tables, write_report
from anon_tune.report.figures import front_chart, parallel_chart
from anon_tune.report.progress_figures import progress_charts
from anon_tune.report.selection import carded_trials, drawn_trials, listed_trials, thinned
from anon_tune.report.wording import hours, hover, per_frame
from anon_tune.trial import Cost, Reading, RungReport, Score, Trial, TrialState


def trial(number: int, leakage: float, accuracy: float, **fields: object) -> Trial:
    readings = (Reading(v, 0.2, 0.95, v - 0.02, v + 0.02, v) for v in (leakage, accuracy))
    score = Score(True, *readings, {}, {}, 0.1, 80, 40, 0, 1.0, 0.0023)
    report = RungReport(f"{number:04d}", 0, 60, score, (), 5.0, "here", "", Cost(cpu_s=3600.0))
    params = {"penalty.weight": float(number)}
    made = Trial(
        report.trial_id, number, "adversarial", params, "f", TrialState.COMPLETE, (report,), ended=float(number + 1)
    )
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.fixture
def many() -> list[Trial]:
    """100 trials: 20 on the front, 80 in four layers behind it."""
    return [trial(n, 0.3 + n % 20 / 50 + n // 20 / 100, 0.3 + n % 20 / 50 - n // 20 / 100) for n in range(100)]


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("POINTS", 30), ("ROWS", 40), ("CARDS", 5), ("FAILURES", 3)):
        monkeypatch.setattr(selection, f"MOST_{name}", most)
    monkeypatch.setattr(tables, "MOST_FAILURES", 3)
    monkeypatch.setattr("anon_tune.report.progress_figures.MOST_POINTS", 30)


def spec(chart: object) -> list[dict]:
    return json.loads(chart.json())["data"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("num_items", "most"), [(0, 5), (5, 5), (6, 5), (100, 5), (101, 100), (10_000, 2000)])
def test_thinned_items_are_in_order_each_once_with_both_ends(num_items: int, most: int) -> None:
    kept = thinned(range(num_items), most)
    assert len(kept) == min(num_items, most)
    assert kept == sorted(set(kept))
    assert not kept or (kept[0], kept[-1]) == (0, num_items - 1)


def test_a_small_study_is_shown_whole(many: list[Trial]) -> None:
    front = ParetoFront.of(many)
    assert drawn_trials(front) == list(front.trials)
    assert listed_trials(many, front) == many
    assert carded_trials(front) == list(front.members)
    assert importance_trials(many) == many


@pytest.mark.usefixtures("low_limits")
def test_charts_draw_the_front_and_some_others(many: list[Trial]) -> None:
    front = ParetoFront.of(many)
    drawn = drawn_trials(front)
    assert {t.id for t in front.members} < {t.id for t in drawn}
    assert len(drawn) == 20 + 30
    assert {front.front_ranks[t.id] for t in drawn} == {0, 1, 2, 3, 4}
    shown = {name for trace in spec(front_chart(front)) for name in trace.get("customdata", [])}
    assert shown == {t.id for t in drawn}
    found = parallel_chart(front)
    assert found is not None
    assert len(spec(found[0])[0]["dimensions"][0]["values"]) == len(drawn)
    assert len(importance_trials(many)) == 30


@pytest.mark.usefixtures("low_limits")
def test_the_table_lists_front_best_and_newest_and_the_page_says_what_is_left_out(
    many: list[Trial], tmp_path: Path
) -> None:
    front = ParetoFront.of(many)
    listed = {t.number for t in listed_trials(many, front)}
    assert len(listed) == 40
    assert listed >= {*range(20), *range(30, 40), *range(90, 100)}
    page = write_report(tmp_path, {}, trials=many).read_text("utf-8")
    assert page.count("<tr data-trial=") == 40
    assert "60 others are left out. <code>anon-tune front DIR --all --format csv</code> lists all trials." in page
    assert "This shows the front and 30 other trials" in page
    assert "This shows 5 trials, evenly along the front; 15 others are left out." in page
    assert "Computed from 30 complete trials" in page
    assert page.count('<article class="card"') == 5
    links = set(re.findall(r'<a href="#(trial-[^"]+)"', page))
    assert links == set(re.findall(r'<article class="card" id="([^"]+)"', page))


@pytest.mark.usefixtures("low_limits")
def test_of_many_failures_the_newest_are_told() -> None:
    failed = [trial(n, 0.5, 0.5, state=TrialState.FAILED, reports=(), reason=f"reason {n}") for n in range(5)]
    words = tables.failures(failed)
    assert "This lists the newest 3; 2 others failed too." in words
    assert [f"reason {n}<" in words for n in range(5)] == [False, False, True, True, True]


@pytest.mark.usefixtures("low_limits")
def test_a_long_growth_keeps_its_steps(many: list[Trial]) -> None:
    full = progress_charts(many[:30])["progress-trials"]
    assert len(spec(full)[0]["x"]) == 30
    (line,) = spec(progress_charts(many)["progress-trials"])
    assert line["x"] == [*range(1, 21), 100]  # later trials add nothing
    assert line["y"] == sorted(line["y"])


def with_cost(trials: list[Trial], **cost: float) -> list[Trial]:
    return [replace(t, reports=tuple(replace(r, cost=Cost(**cost)) for r in t.reports)) for t in trials]


@pytest.mark.parametrize(
    ("cost", "titles"),
    [
        ({}, []),
        ({"cpu_s": 3600.0}, ["CPU-hours of ended trials"]),
        ({"cpu_s": 3600.0, "gpu_s": 7200.0}, ["GPU-hours of ended trials"]),
        ({"cpu_s": 3600.0, "money": 0.5}, ["CPU-hours of ended trials", "Money spent on ended trials"]),
    ],
)
def test_growth_is_drawn_against_what_was_spent(many: list[Trial], cost: dict[str, float], titles: list[str]) -> None:
    trials = with_cost(many, **cost)
    trials[50] = replace(trials[50], state=TrialState.FAILED)  # its cost counts too
    charts = list(progress_charts(trials).values())[2:]
    assert [chart.layout(False)["xaxis"]["title"]["text"] for chart in charts] == titles
    ends = {"CPU-hours of ended trials": 100, "GPU-hours of ended trials": 200, "Money spent on ended trials": 50}
    assert [spec(chart)[0]["x"][-1] for chart in charts] == pytest.approx([ends[title] for title in titles])


def test_the_summary_says_what_was_spent(many: list[Trial]) -> None:
    def spent(**cost: float) -> str:
        trials = with_cost(many, **cost)
        return tables.summary(trials, ParetoFront.of(trials))

    assert "Spent" not in spent()
    assert "<dt>Spent</dt><dd><b>100</b> CPU-hours, " in spent(cpu_s=3600.0)
    both = spent(cpu_s=3600.0, gpu_s=36.0, money=2.5)
    assert "<b>1</b> GPU-hours, 100 CPU-hours, 250.00 in the currency of the cluster file" in both


def test_a_trial_that_breaks_a_constraint_has_a_mark_of_its_own(many: list[Trial]) -> None:
    (report,) = many[0].reports
    many[0] = replace(many[0], reports=(replace(report, violation=0.1),))
    front = ParetoFront.of(many)
    traces = {trace["name"]: trace for trace in spec(front_chart(front))}
    assert traces["breaks a constraint"]["customdata"] == ["0000"]
    assert traces["breaks a constraint"]["marker"]["symbol"] == ["x"]
    assert "0000" not in traces["on the front"]["customdata"]
    assert "breaks a constraint of the study" in hover(many[0], front)
    assert "breaks a constraint" not in hover(many[1], front)


def test_hours_and_frames_are_few_digits(many: list[Trial]) -> None:
    assert [hours(s) for s in (36.0, 3600.0, 5e6)] == ["0.01", "1", "1,389"]
    assert [per_frame(s) for s in (0.0023, 1.5, float("nan"))] == ["2.3 ms per frame", "1,500 ms per frame", "—"]
    front = ParetoFront.of(many)
    assert "anonymizing takes 2.3 ms per frame" in hover(many[0], front)
