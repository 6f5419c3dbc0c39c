"""Study directories for tests of the report."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("synthetic_study", Path(__file__).with_name("synthetic_study.py"))
synthetic = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(synthetic)


@pytest.fixture(scope="session")
def verified_directory(tmp_path_factory) -> Path:
    """40 trials, and repeats of all candidates; read only."""
    return synthetic.write_repeats(synthetic.write_study(tmp_path_factory.mktemp("verified"), 40))


@pytest.fixture(scope="session")
def study_directory(tmp_path_factory) -> Path:
    """A study of 20 trials and both anchors; read only."""
    return synthetic.write_study(tmp_path_factory.mktemp("study"))
