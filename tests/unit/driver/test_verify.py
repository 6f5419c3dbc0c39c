"""What is refused before a verification starts Ray; the verification itself is tested with Ray, in tests/cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from anon_tune.driver.verify import verify_study
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.recipe import MEASURE_VERSION
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings
from anon_tune.worker import ClipTrialBody

SPACE = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "toy.toml")


def test_a_study_of_another_measure_gets_no_repeats_of_this_one(tmp_path: Path) -> None:
    freeze_study(tmp_path, SPACE, StudySettings())
    file = tmp_path / "study.toml"
    file.write_text(file.read_text().replace(f'measure = "{MEASURE_VERSION}"', 'measure = "1"'))
    message = rf"its version of the measure was 1, got {MEASURE_VERSION}\. Scores of two measures cannot be compared"
    with pytest.raises(StudyError, match=message):
        verify_study(tmp_path, ClipTrialBody(""))
    assert not Ledger(tmp_path / "ledger").trials()
