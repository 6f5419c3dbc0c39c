"""Which studies are found below a folder or a URI."""

from __future__ import annotations

from pathlib import Path

import pytest

from anon_tune.dashboard.finding import find_studies
from anon_tune.folder import Folder


@pytest.mark.parametrize("place", ["path", "s3"])
def test_a_study_is_found_whatever_its_name(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    location = str(tmp_path) if place == "path" else str(request.getfixturevalue("s3")).format("runs")
    root = Folder.at(location)
    for name in ("plain", "penalty-0.3", "deep/v1.2", ".hidden"):
        root.write(f"{name}/study.toml", b"")
    root.write("notes.txt", b"")
    found = find_studies(root)
    assert found.problem == ""
    assert [study.name for study in found.studies.values()] == ["v1.2", "penalty-0.3", "plain"]
