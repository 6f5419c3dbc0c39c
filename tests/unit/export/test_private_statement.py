"""What an exported file says of private training, and which trials may not be exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from anon_tune.errors import StudyError
from anon_tune.export.anonymizer_file import _stated
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial, TrialState

FIXED = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 2.0, "training.num_steps": 2}
SEARCH = {"privacy.weight": {"low": 1.0, "high": 2.0}}


def stated(folder: Path, settings: StudySettings, **fixed: str) -> dict[str, str]:
    """What the file of the first of two trials says."""
    folder.mkdir()
    space = SearchSpace.from_tables({"fixed": {**FIXED, **fixed}, "search": SEARCH}, "x.toml")
    freeze_study(folder, space, settings)
    values = {"privacy.weight": 1.5}
    trials = [Trial(f"{at:04d}", at, "adversarial", values, "", TrialState.COMPLETE) for at in range(2)]
    recipe = space.recipe(values, "adversarial")
    return dict(_stated(StudyDirectory.at(folder), trials[0], trials, recipe))


def test_a_refused_claim_is_not_in_the_file(tmp_path: Path) -> None:
    settings = StudySettings(sampler="random", protected_clips=480, protected_groups=120)
    said = stated(tmp_path / "inside", settings)
    assert said["epsilon"].startswith("refused: trials were chosen by scores") and "at delta" not in str(said)
    outside = {"evaluation.attackers_learn_on": "outside"}
    assert " at delta 0.000208" in stated(tmp_path / "outside", settings, **outside)["epsilon"]


def test_a_trial_of_a_drawn_number_that_is_not_the_best_is_refused(tmp_path: Path) -> None:
    drawn = StudySettings(
        num_trials=2, drawn="geometric:4", sampler="random", protected_clips=480, protected_groups=120
    )
    with pytest.raises(StudyError, match="only the best of a drawn number of private trials may be released"):
        stated(tmp_path / "drawn", drawn, **{"evaluation.attackers_learn_on": "outside"})
