from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.ledger import Ledger
from anon_tune.pareto import rung_agreement
from anon_tune.report import write_report
from anon_tune.report.measuring_notes import measured_by, measuring_note
from anon_tune.search.choices import Choice
from anon_tune.trial import Trial, TrialState


@pytest.fixture(scope="module")
def trials(study_directory: Path) -> list[Trial]:
    return Ledger(study_directory / "ledger").trials()


def complete(trials: list[Trial]) -> list[Trial]:
    return [t for t in trials if t.state is TrialState.COMPLETE and not t.is_anchor]


def test_the_page_tells_what_a_rung_is_worth_and_what_measuring_costs(
    study_directory: Path, trials: list[Trial], tmp_path: Path
) -> None:
    page = write_report(study_directory, output=tmp_path / "page.html").read_text("utf-8")
    found = rung_agreement(trials)
    assert found is not None
    assert found.num_trials == len(complete(trials)) == 12
    assert f"test split is {found.correlation:+.2f}, over the 12 complete trials" in page
    # 3 s of the 9.5 s of each of two jobs a trial.
    assert "measurement at rungs took 15.8% and full measurement 15.8%." in page


def test_fewer_than_three_trials_say_nothing_of_the_rungs(trials: list[Trial]) -> None:
    assert "rank correlation" in measuring_note(complete(trials)[:3])
    two = measuring_note(complete(trials)[:2])
    assert "rank correlation" not in two
    assert two.startswith("Of the time")


def closed_form(trial: Trial) -> Trial:
    return replace(trial, method="blur:4")


def test_only_trained_trials_have_time_to_share(trials: list[Trial]) -> None:
    assert measuring_note([t for t in trials if t.is_anchor or t.state is not TrialState.COMPLETE]) == ""
    assert measuring_note([closed_form(t) for t in complete(trials)[:2]]) == ""


def test_the_page_names_attackers_and_classifier(study_directory: Path, trials: list[Trial], tmp_path: Path) -> None:
    page = write_report(study_directory, output=tmp_path / "page.html").read_text("utf-8")
    score = next(t.score for t in trials if t.score)
    assert (
        f"Attackers of the full scores: {', '.join(score.attackers)}. "
        "Accuracy is measured by a fresh action classifier: a small network."
    ) in page
    large = {"fixed": {"evaluation.classifier": "torchvision:r3d_18"}, "defaults": {"evaluation.classifier": "small"}}
    assert measured_by(trials, large).endswith("Accuracy is measured by a fresh action classifier: torchvision:r3d_18.")
    assert measured_by([replace(t, reports=()) for t in trials], large) == ""
    done = complete(trials)[0]
    of_anomalies = replace(done.reports[-1], score=replace(score, task="anomaly"))
    said = measured_by([replace(done, reports=(of_anomalies,))], {})
    assert said.endswith("ROC AUC is measured by a fresh anomaly detector: a small network.")


def test_one_rank_correlation_is_told_where_the_search_tells_of_rungs(trials: list[Trial]) -> None:
    sampler, rung = Choice("sampler", "TPE", "choices are searched"), Choice("rung 0", "stops trials", "it agrees")
    assert measuring_note(trials, [sampler]) == measuring_note(trials)
    assert "rank correlation" not in measuring_note(trials, [sampler, rung])
    assert measuring_note(trials).endswith(measuring_note(trials, [sampler, rung]))
