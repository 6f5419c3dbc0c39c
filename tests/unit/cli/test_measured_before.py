"""A study that was measured by an earlier version of the measurement says so wherever its scores are shown."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from anon_tune.cli import main
from anon_tune.recipe import MEASURE_VERSION

SAYS = f"Measured with version 1 of the measurement. The current version is {MEASURE_VERSION}"


@pytest.mark.parametrize(("version", "is_old"), [("1", True), (str(MEASURE_VERSION), False)])
def test_front_and_page_say_that_scores_do_not_compare(
    small_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    version: str,
    is_old: bool,
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(small_study, folder)
    frozen = folder / "study.toml"
    now = f'measure = "{MEASURE_VERSION}"'
    assert frozen.read_text().count(now) == 1
    frozen.write_text(frozen.read_text().replace(now, f'measure = "{version}"'))
    monkeypatch.setattr(sys, "argv", ["anon-tune", "front", str(folder), "--format", "json"])
    with pytest.raises(SystemExit):
        main()
    out, err = capfd.readouterr()
    assert json.loads(out)["trials"]
    assert (SAYS in err) == is_old
    monkeypatch.setattr(sys, "argv", ["anon-tune", "report", str(folder)])
    with pytest.raises(SystemExit):
        main()
    assert (SAYS in (folder / "report.html").read_text()) == is_old
