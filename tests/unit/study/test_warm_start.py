from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from anon_tune.errors import StudyError
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.warm_start import _constraints, _losses, known_before
from anon_tune.trial import Repeat, TrialState

Build = Callable[..., Any]
SEARCH = {"penalty.weight": {"low": 1.0, "high": 10.0}}


@pytest.fixture
def earlier(virtual_study: Build) -> Any:
    """A study that has ended, frozen as `run_study` would have."""
    study = virtual_study("earlier", num_trials=12, clips_fingerprint="a")
    study.folder.mkdir()
    freeze_study(study.folder, study.space, study.settings)
    study.run()
    return study


def test_the_sampler_knows_an_earlier_study_before_its_first_trial(virtual_study: Build, earlier: Any) -> None:
    study = virtual_study("later", sampler="gp", num_trials=6, clips_fingerprint="a", warm_start=str(earlier.folder))
    study.folder.mkdir()
    study.known = known_before(study.folder, study.space, study.settings)
    complete = [t for t in earlier.book.trials if t.state is TrialState.COMPLETE and not t.is_anchor]
    assert sorted(study.known) == [f"before-{t.id}" for t in complete]
    trials = [t for t in study.run() if not t.is_anchor]
    # Ten known trials are a start: the first proposal is the model's, not a point of a sequence.
    cold = virtual_study("cold", sampler="gp", num_trials=6)
    assert trials[0].params != cold.run()[2].params
    assert len({tuple(t.params.items()) for t in trials}) == 6
    assert {t.user_attrs["trial"] for t in study.record.study.trials} == {t.id for t in trials}

    # What it knew is written down: the earlier study may go.
    for part in (earlier.folder / "ledger").iterdir():
        part.unlink()
    assert known_before(study.folder, study.space, study.settings) == study.known


def test_only_points_that_the_space_holds_are_taken(virtual_study: Build, earlier: Any) -> None:
    narrow = {"penalty.weight": {"low": 1.0, "high": 10.0, "log": True}, "penalty.threshold": {"low": 0.0, "high": 0.3}}
    study = virtual_study("narrow", search=narrow, clips_fingerprint="a", warm_start=str(earlier.folder))
    study.folder.mkdir()
    known = known_before(study.folder, study.space, study.settings)
    assert known and all(seen.params["penalty.weight"] >= 1 for seen in known.values())
    other = virtual_study(
        "other",
        search={"privacy.weight": {"low": 1.0, "high": 2.0}},
        clips_fingerprint="a",
        warm_start=str(earlier.folder),
    )
    other.folder.mkdir()
    with pytest.raises(StudyError, match=r"--warm-start .*earlier: none of its \d+ complete trials lies in toy\.toml"):
        known_before(other.folder, other.space, other.settings)


def test_a_trial_that_was_measured_again_is_known_by_its_repeats(virtual_study: Build, earlier: Any) -> None:
    tables = {"search": SEARCH, "study": {"constraints": {"accuracy_at_least": 0.7}}}
    space = SearchSpace.from_tables(tables, "x.toml")
    trial = next(t for t in earlier.book.trials if t.score and not t.is_anchor)
    score = trial.score
    again = replace(score, accuracy=replace(score.accuracy, validation=score.accuracy.validation / 2))
    repeated = replace(trial, repeats=(Repeat(1, 0, again),))
    assert _losses(repeated)[1] != _losses(trial)[1]
    assert _constraints(repeated, space)["accuracy"] == pytest.approx((0.7 - again.accuracy.validation) / 0.7)


def test_a_study_on_other_clips_is_refused(virtual_study: Build, earlier: Any) -> None:
    study = virtual_study("later", clips_fingerprint="b", warm_start=str(earlier.folder))
    with pytest.raises(StudyError, match="must be a study on the same clips"):
        known_before(study.folder, study.space, study.settings)
    missing = virtual_study("later", clips_fingerprint="b", warm_start=str(earlier.folder / "no"))
    with pytest.raises(StudyError, match=r"no study there"):
        known_before(missing.folder, missing.space, missing.settings)


def test_a_private_study_is_refused(virtual_study: Build) -> None:
    fixed = {"training.num_steps": 90, "dp.clip_norm": 1.0, "dp.noise_multiplier": 1.0}
    first = virtual_study("private", clips_fingerprint="a")
    first.folder.mkdir()
    freeze_study(first.folder, SearchSpace.from_tables({"fixed": fixed, "search": SEARCH}, "x.toml"), first.settings)
    study = virtual_study("later", clips_fingerprint="a", warm_start=str(first.folder))
    with pytest.raises(StudyError, match=r"--warm-start .*private: must not be a private study: .* Leave it out"):
        known_before(study.folder, study.space, study.settings)


def test_without_a_warm_start_nothing_is_known_or_written(virtual_study: Build) -> None:
    study = virtual_study("cold")
    assert known_before(study.folder, study.space, study.settings) == {}
    assert not study.folder.exists()
