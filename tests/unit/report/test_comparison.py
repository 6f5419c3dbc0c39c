from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from anon_tune.ledger import Ledger
from anon_tune.pareto import ReferencePoint, attainment_surfaces, growth, hypervolume
from anon_tune.report.comparison import cautions, common_reference, compared, differences, repeating
from anon_tune.report.comparison_figures import fronts_chart, growth_chart
from anon_tune.report.shown import ShownStudy
from anon_tune.study.frozen_study import FrozenFacts
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import losses

SPACE = {"defaults": {"evaluation.full.num_seeds": 1, "training.num_steps": 200}, "fixed": {}, "search": {}}


@pytest.fixture
def study(study_directory: Path):
    shown = ShownStudy.of(StudyDirectory.at(study_directory), Ledger(study_directory / "ledger").trials())

    def make(
        name: str, fingerprint: str = "f", fixed: dict[str, object] | None = None, **settings: object
    ) -> ShownStudy:
        known = {"seed": 0, "clips": "avatars", "clips_fingerprint": "c", **settings}
        facts = FrozenFacts(name, known, None, {"measure": "3"}, fingerprint, {**SPACE, "fixed": fixed or {}})
        return replace(shown, study=StudyDirectory.at(f"/nowhere/{name}"), facts=facts)

    return make


def test_only_the_seed_may_differ_between_studies_that_repeat_each_other(study) -> None:
    studies = compared(
        [study("a"), study("b", seed=1, wandb_prefix="k"), study("c", fingerprint="g"), study("d", sampler="tpe")]
    )
    assert [[one.name for one in group] for group in repeating(studies)] == [["a", "b"], ["c"], ["d"]]
    assert cautions(studies) == []


def of_anomalies(shown: ShownStudy) -> ShownStudy:
    scores = {trial_id: replace(score, task="anomaly") for trial_id, score in shown.front.scores.items()}
    return replace(shown, front=replace(shown.front, scores=scores))


def test_other_clips_another_measure_and_other_effort_are_said(study) -> None:
    other_measure = study("d")
    other_measure = replace(other_measure, facts=replace(other_measure.facts, versions={"measure": "2"}))
    other_task = of_anomalies(study("t"))
    for other, words in (
        (other_task, "different utility tasks: a: action by top-1; t: anomaly by frame-level ROC AUC"),
        (study("b", clips="mine", clips_fingerprint="x"), "different clips: a: avatars (c); b: mine (x)"),
        (study("c", fixed={"evaluation.full.num_seeds": 3}), "evaluation.full.num_seeds: a: 1; c: 3"),
        (other_measure, "different versions of the measurement: a: version 3; d: version 2"),
    ):
        (said,) = cautions(compared([study("a"), other]))
        assert words in said
    assert cautions(compared([study("a"), study("e", fixed={"training.num_steps": 9})])) == []


def test_other_segments_are_said_of_anomalies_alone(study) -> None:
    two = [study("a", fixed={"utility.segments": 8}), study("b", fixed={"utility.segments": 4})]
    assert cautions(compared(two)) == []
    two = [of_anomalies(one) for one in two]
    assert cautions(compared(two)) == ["They were measured with different values of utility.segments: a: 8; b: 4."]
    assert [len(group) for group in repeating(compared(two))] == [1, 1]


def test_effort_at_rungs_is_no_caution_but_a_difference_that_is_said(study) -> None:
    two = compared([study("a"), study("b", fixed={"evaluation.rung.classifier_steps": 80})])
    assert cautions(two) == []
    assert differences(two) == {"evaluation.rung.classifier_steps": ["75", "80"]}


def test_a_value_that_came_later_has_its_default_in_an_older_study(study) -> None:
    new = study("b", fixed={"evaluation.pretrained": (), "training.momentum": 0.9}, tensorboard=True)
    assert differences(compared([study("a"), new])) == {}
    other = study("c", fixed={"evaluation.pretrained": ("timm:resnet50=a.pt",)})
    (said,) = cautions(compared([study("a"), other]))
    assert said.endswith("evaluation.pretrained: a: none; c: timm:resnet50=a.pt.")


def test_what_differs_is_listed_by_name(study) -> None:
    studies = compared([study("a"), study("b", seed=1, fixed={"training.num_steps": 9})])
    assert differences(studies) == {"seed": ["0", "1"], "training.num_steps": ["200", "9"]}
    searched = {"low": 1, "high": 4, "log": True, "integer": True}
    space = {**SPACE, "search": {"training.num_steps": searched}}
    other = replace(study("c"), facts=replace(study("c").facts, space=space))
    assert differences(compared([study("a"), other])) == {
        "training.num_steps": ["200", "searched: 1 to 4, log scale, whole numbers"]
    }


def test_hypervolumes_are_measured_against_the_worst_reference_point(study) -> None:
    one, two = study("a"), study("b")
    two = replace(two, front=replace(two.front, reference_point=ReferencePoint(0.99, 0.1)))
    assert common_reference(compared([one, two])) == ReferencePoint(0.99, 0.1)
    reference = ReferencePoint(0.99, 0.1)
    members = [one.front.scores[t.id] for t in one.front.members if not t.is_anchor]
    expected = hypervolume([losses(s.leakage.value, s.accuracy.value) for s in members], reference.losses)
    assert growth(one.trials, reference)[-1].hypervolume == pytest.approx(expected)


def test_half_of_two_equal_fronts_is_the_front_itself() -> None:
    front = np.array([losses(0.2, 0.4), losses(0.5, 0.9)])
    surfaces = attainment_surfaces([front, front])
    for level in (10, 50, 90):
        assert surfaces[level].tolist() == [[0.2, 0.4], [0.5, 0.9]]
    both = attainment_surfaces([front, np.array([losses(0.3, 0.9)])], (50, 100))
    assert both[50].tolist() == [[0.2, 0.4], [0.3, 0.9]]
    assert both[100].tolist() == [[0.3, 0.4], [0.5, 0.9]]


def test_bands_are_drawn_only_where_studies_repeat_each_other(study) -> None:
    alike, other = compared([study("a"), study("b", seed=1)]), compared([study("a"), study("c", fingerprint="g")])
    for chart in (fronts_chart, growth_chart):
        spec = json.loads(chart(alike).json())
        assert go.Layout(spec["wide"]) and go.Layout(spec["narrow"])  # Plotly refuses names that it does not know
        names = [trace["name"] for trace in spec["data"]]
        assert any("2 studies like a" in name for name in names) and {"a", "b"} <= set(names)
        assert not any("studies like" in trace.name for trace in chart(other).data)
