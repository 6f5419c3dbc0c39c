"""What ``resume`` refuses before it starts Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anon_tune.clips import Clips
from anon_tune.commands.study import prepare_resume
from anon_tune.errors import UsageError
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study, load_study
from anon_tune.study.settings import StudySettings


@pytest.fixture
def study(avatars: Clips, tmp_path: Path) -> Path:
    """A private study of one trial on the avatars, whose attackers learn on the protected clips."""
    fixed: dict[str, Any] = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 2.0, "training.num_steps": 2}
    limited = {"constraints": {"epsilon_at_most": 500}}
    space = SearchSpace.from_tables(
        {"fixed": fixed, "search": {"privacy.weight": {"low": 1.0, "high": 2.0}}, "study": limited}, "x.toml"
    )
    freeze_study(tmp_path / "study", space, StudySettings(num_trials=1, clips=str(avatars.directory)))
    return tmp_path / "study"


def test_more_trials_must_not_void_the_limit_on_epsilon(study: Path) -> None:
    assert prepare_resume(study).settings.num_trials == 1
    with pytest.raises(UsageError, match="epsilon_at_most: cannot hold while attackers learn on the protected clips"):
        prepare_resume(study, trials=8)


@pytest.mark.parametrize("trials", [0, -3])
def test_a_number_of_trials_that_no_study_has_is_refused(study: Path, trials: int) -> None:
    with pytest.raises(UsageError, match=rf"resume: 'num_trials': .* greater than or equal to 1, got {trials}\."):
        prepare_resume(study, trials=trials)


def test_other_settings_stay_as_they_were(study: Path) -> None:
    was = load_study(study)[1]
    ready = prepare_resume(study, stop={"seconds": 9})
    changed = {"stop": ready.settings.stop, "clips_fingerprint": ready.clips.fingerprint}
    assert ready.settings == was.model_copy(update=changed) and ready.settings.stop.seconds == 9
