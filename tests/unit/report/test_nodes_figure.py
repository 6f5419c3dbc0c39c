"""The figure of jobs on nodes over time, and the sentences about lost jobs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.ledger import Ledger
from anon_tune.report.nodes_figure import lost_note, nodes_chart
from anon_tune.trial import LostJob, Trial


@pytest.fixture(scope="module")
def trials(study_directory: Path) -> list[Trial]:
    """Three trials with two reports each."""
    found = [t for t in Ledger(study_directory / "ledger").trials() if len(t.reports) == 2 and not t.is_anchor]
    return found[:3]


def jobs(trial: Trial, *times: tuple[str, float, float]) -> Trial:
    made = (
        replace(report, node=node, seconds=end - start, ended=end)
        for report, (node, start, end) in zip(trial.reports, times, strict=True)
    )
    return replace(trial, reports=tuple(made), seconds=sum(end - start for _, start, end in times))


def test_jobs_lie_in_lanes_of_their_nodes_and_lost_ones_are_marked(trials: list[Trial]) -> None:
    a, b, c = trials
    a = jobs(a, ("one", 1000.0, 1060.0), ("one", 1060.0, 1180.0))
    b = jobs(b, ("one", 1030.0, 1090.0), ("two", 1100.0, 1160.0))
    c = replace(c, reports=(), seconds=0.0, lost=(LostJob(30.0, "two", ended=1090.0), LostJob(0.0, "", ended=1090.0)))
    chart = nodes_chart([a, b, c])
    assert chart is not None
    spec = json.loads(chart.json())
    reported, lost = spec["data"]
    assert (reported["name"], lost["name"]) == ("reported", "lost")
    # Lane 0 is of the node nobody knows, 1 and 2 of "one", on which two jobs ran at a time, 3 of "two".
    bars = {(y, base, x) for y, base, x in zip(reported["y"], reported["base"], reported["x"], strict=True)}
    assert bars == {(1, 0.0, 1.0), (1, 1.0, 2.0), (2, 0.5, 1.0), (3, 100 / 60, 1.0)}
    assert set(zip(lost["y"], lost["base"], lost["x"], strict=True)) == {(3, 1.0, 0.5), (0, 1.5, 0.0)}
    labels = spec["wide"]["yaxis"]
    assert dict(zip(labels["ticktext"], labels["tickvals"], strict=True)) == {"two": 3, "one": 1, "unknown": 0}
    assert any("lost" in words and c.id in words for words in lost["hovertext"])


def test_what_was_lost_is_said_in_a_sentence(trials: list[Trial]) -> None:
    a, b, c = (replace(t, seconds=seconds) for t, seconds in zip(trials, (600.0, 900.0, 0.0), strict=True))
    assert lost_note([a, b, c]) == ""
    one = replace(c, lost=(LostJob(300.0, "two"),))
    assert lost_note([a, b, one]).startswith("1 job ended without a report, 5 min 0 s of 30 min 0 s (16.7%). ")
    two = replace(c, lost=(LostJob(300.0, "two"), LostJob(0.0, "")))
    assert lost_note([a, b, two]).startswith("2 jobs ended without a report, 5 min 0 s of 30 min 0 s (16.7%). ")


def test_without_a_job_there_is_no_figure(trials: list[Trial]) -> None:
    assert nodes_chart([]) is None
    assert nodes_chart([replace(trials[0], reports=())]) is None
