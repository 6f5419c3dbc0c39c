"""What a private study may claim: the cost of its search, its limit, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from anon_tune.accounting import NumberLaw, Phase, epsilon, selection_epsilon
from anon_tune.certificate import Certificate, Membership
from anon_tune.errors import StudyError, UsageError
from anon_tune.search.space import SearchSpace
from anon_tune.study.certified import is_whole
from anon_tune.study.privacy import EpsilonLimit, Protected, check_privacy, study_privacy, worst_run
from anon_tune.study.privacy_statement import statement
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Reading, RungReport, Score, Trial, TrialState

PROTECTED = Protected(480, 120)
FIXED = {
    "dp.clip_norm": 1.0,
    "dp.noise_multiplier": 2.0,
    "training.num_steps": 10,
    "evaluation.attackers_learn_on": "outside",
}
WHOLE = 40 + 20 + 10 * (1 + 3)
DELTA = 1 / 4800


def space(fixed: dict[str, Any] | None = None, search: dict[str, Any] | None = None, **study: Any) -> SearchSpace:
    searched = {"privacy.weight": {"low": 1.0, "high": 2.0}} if search is None else search
    tables = {"fixed": FIXED if fixed is None else fixed, "search": searched, "study": study}
    return SearchSpace.from_tables(tables, "x.toml")


def trial(number: int, state: TrialState = TrialState.COMPLETE, **params: Any) -> Trial:
    return Trial(f"{number:04d}", number, "adversarial", params or {"privacy.weight": 1.5}, "", state)


def scored(number: int, accuracy: float, leakage: float) -> Trial:
    readings = (Reading(value, 0.1, 1.0, value, value, value) for value in (leakage, accuracy))
    score = Score(True, *readings, {}, {}, 0.1, 80, 40, 0, 1.0)
    report = RungReport(f"{number:04d}", 0, 10, score, (), 1.0, "n", "")
    return replace(trial(number), reports=(report,))


def test_a_single_run_costs_what_it_costs() -> None:
    found = study_privacy([trial(0)], space(), StudySettings(), PROTECTED)
    assert found is not None and found.rule == "one run" and not found.refused
    assert found.epsilon == epsilon([Phase(8 / 480, 2.0, WHOLE)], DELTA)


def test_all_runs_that_began_are_composed_also_failed_ones() -> None:
    waiting, failed = trial(3, TrialState.WAITING), replace(trial(1, TrialState.FAILED), fingerprint="f")
    trials = [trial(0), failed, trial(2, TrialState.RUNNING), waiting]
    found = study_privacy(trials, space(), StudySettings(), PROTECTED)
    assert found is not None and found.rule == "all runs" and len(found.runs) == 3
    assert found.epsilon == epsilon([Phase(8 / 480, 2.0, 3 * WHOLE)], DELTA)
    assert found.epsilon > epsilon([Phase(8 / 480, 2.0, WHOLE)], DELTA)
    assert ("epsilon", f"{found.epsilon:.4g} at delta {DELTA:.3g}") in statement(found)


def test_values_that_made_no_recipe_never_ran_and_hide_no_claim() -> None:
    refused = trial(1, TrialState.FAILED, **{"privacy.weight": -1.0})
    found = study_privacy([trial(0), refused], space(), StudySettings(), PROTECTED)
    assert found == study_privacy([trial(0)], space(), StudySettings(), PROTECTED)


def test_noise_that_the_sampler_chose_is_composed_by_rdp() -> None:
    searched = {"dp.noise_multiplier": {"low": 1.0, "high": 4.0}}
    fixed = {name: value for name, value in FIXED.items() if name != "dp.noise_multiplier"}
    trials = [trial(0, **{"dp.noise_multiplier": 2.0}), trial(1, **{"dp.noise_multiplier": 3.0})]
    found = study_privacy(trials, space(fixed, searched), StudySettings(), PROTECTED)
    phases = [Phase(8 / 480, 2.0, WHOLE), Phase(8 / 480, 3.0, WHOLE)]
    assert found is not None and found.accountant == "rdp" and found.epsilon == epsilon(phases, DELTA, "rdp")
    assert worst_run(space(fixed, searched), PROTECTED).noise_multiplier == 1.0


def test_the_worst_run_has_the_most_of_every_count_at_once() -> None:
    fixed = {name: value for name, value in FIXED.items() if name != "training.num_steps"}
    counts = {"training.num_steps": (10, 40), "training.num_branch_updates": (1, 3), "training.warmup_steps": (5, 20)}
    searched = {name: {"low": low, "high": high, "integer": True} for name, (low, high) in counts.items()}
    assert worst_run(space(fixed, searched), PROTECTED).num_updates == 40 + 20 + 40 * (1 + 3)


def test_epochs_that_the_sampler_chose_are_composed_by_rdp() -> None:
    fixed = {name: value for name, value in FIXED.items() if name != "training.num_steps"}
    fixed |= {"training.epoch_clips": 480, "training.batch_clips": 480}
    searched = space(fixed, {"training.num_epochs": {"low": 1.0, "high": 9.0}})
    trials = [trial(at, **{"training.num_epochs": epochs}) for at, epochs in enumerate((4.0, 8.0))]
    found = study_privacy(trials, searched, StudySettings(), PROTECTED)
    assert found is not None and [run.num_updates for run in found.runs.values()] == [64, 68]
    assert found.accountant == "rdp" and found.epsilon == epsilon([Phase(1.0, 2.0, 64 + 68)], DELTA, "rdp")


def test_a_choice_by_scores_on_the_protected_clips_is_refused() -> None:
    inside = space({name: value for name, value in FIXED.items() if not name.startswith("evaluation.")})
    found = study_privacy([trial(0), trial(1)], inside, StudySettings(), PROTECTED)
    assert found is not None and "chosen by scores" in found.refused
    said = dict(statement(found))
    assert said["epsilon"].startswith("refused:") and said["accounting"] == "nothing is claimed"
    assert f"{found.epsilon_rdp:.4g}" not in str(said) and "instead" not in said["neighbouring data"]


def test_a_certificate_without_an_attack_on_private_training_is_made_again() -> None:
    private, public = space().recipe({"privacy.weight": 1.5}), space().recipe({}, "identity")
    old = Certificate.model_construct()
    assert not is_whole(old, private) and is_whole(old, public)
    assert is_whole(old.model_copy(update={"membership": Membership.model_construct()}), private)


def test_the_best_of_a_drawn_number_costs_what_the_theorem_says() -> None:
    settings = StudySettings(drawn="geometric:8", sampler="random")
    found = study_privacy([trial(0), trial(1)], space(), settings, PROTECTED)
    run = [Phase(8 / 480, 2.0, WHOLE)]
    assert found is not None and found.rule == "best of drawn"
    assert found.epsilon == selection_epsilon(run, DELTA, NumberLaw("geometric", 8))


def test_only_the_best_of_a_drawn_number_may_be_released() -> None:
    settings = StudySettings(num_trials=3, drawn="geometric:8", sampler="random")
    trials = [scored(0, 0.9, 0.8), scored(1, 0.8, 0.6), trial(2, TrialState.RUNNING)]
    found = study_privacy(trials, space(), settings, PROTECTED)
    assert found is not None and found.best == ""
    with pytest.raises(StudyError, match=r"and not all of them are over, got 0001\. Wait"):
        found.check_release("0001", "x")
    trials[2] = trial(2, TrialState.FAILED)
    found = study_privacy(trials, space(), settings, PROTECTED)
    assert found is not None and found.best == "0001"
    found.check_release("0001", "x")
    assert dict(statement(found))["what is released"].startswith("the weights of trial 0001 alone.")
    with pytest.raises(StudyError, match=r"may be released: 0001, got 0000\. Choose --trial 0001"):
        found.check_release("0000", "x")
    composed = study_privacy(trials, space(), StudySettings(num_trials=3), PROTECTED)
    assert composed is not None
    composed.check_release("0000", "x")  # all runs are paid for, so any may be released


def test_a_study_without_private_runs_claims_nothing() -> None:
    assert study_privacy([trial(0)], space({}), StudySettings(), PROTECTED) is None


def test_the_limit_ends_a_study_before_it_is_broken() -> None:
    two = epsilon([Phase(8 / 480, 2.0, 2 * WHOLE)], DELTA)
    limited = space(constraints={"epsilon_at_most": two * 1.001})
    settings = StudySettings(protected_clips=480, protected_groups=120)
    limit = EpsilonLimit(limited, settings)
    assert limit.reason([]) == "" == limit.reason([trial(0)])
    assert limit.reason([trial(0), trial(1)]).startswith("one more trial may raise epsilon to ")
    assert EpsilonLimit(space(), settings).reason([trial(at) for at in range(9)]) == ""


@pytest.mark.parametrize(
    ("fixed", "study", "settings", "said"),
    [
        ({}, {"constraints": {"epsilon_at_most": 8}}, {}, "no trial of this study is private"),
        ({}, {}, {"drawn": "geometric:8"}, "no trial of this study is private"),
        (FIXED, {"constraints": {"epsilon_at_most": 0.01}}, {}, "a single trial may already have an epsilon of"),
        (
            {**FIXED, "evaluation.attackers_learn_on": "train"},
            {"constraints": {"epsilon_at_most": 8}},
            {},
            "cannot hold while attackers learn on the protected clips",
        ),
        (FIXED, {}, {"drawn": "geometric:8"}, "needs --sampler random, got auto"),
        (FIXED, {}, {"drawn": "geometric:8", "sampler": "random", "stop": {"seconds": 9}}, "no stop rule"),
        (FIXED, {}, {"warm_start": "elsewhere"}, "cannot start from earlier trials"),
    ],
)
def test_what_cannot_hold_is_refused(
    fixed: dict[str, Any], study: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check_privacy(space(fixed, **study), StudySettings(**settings), PROTECTED)
