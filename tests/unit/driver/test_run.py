"""What a driver does before the first trial of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from anon_tune.driver.run import _proposer
from anon_tune.errors import UnreachableError
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory

SPACE = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "toy.toml")


def test_an_ended_study_stays_ended_if_its_storage_cannot_be_written(tmp_path: Path) -> None:
    study = StudyDirectory.at(tmp_path / "study")
    study.ended.write(b"")
    settings = StudySettings(storage=f"sqlite:///{tmp_path}/none/study.db")
    with pytest.raises(UnreachableError, match="--storage: cannot be opened"):
        _proposer(study, tmp_path, SPACE, settings, {}, None)
    assert study.ended.exists()
    _proposer(study, tmp_path, SPACE, StudySettings(), {}, None)
    assert not study.ended.exists()
