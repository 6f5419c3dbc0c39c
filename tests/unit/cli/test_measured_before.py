"""A study that was measured by an earlier version of the measurement says so wherever its scores are shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.recipe import MEASURE_VERSION

SAYS = f"Measured with version 1 of the measurement. The current version is {MEASURE_VERSION}"


@pytest.mark.parametrize(("version", "is_old"), [("1", True), (str(MEASURE_VERSION), False)])
def test_front_and_page_say_that_scores_do_not_compare(
    small_study: Path,
    tmp_path: Path,
    say: Callable[..., Any],
    version: str,
    is_old: bool,
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(small_study, folder)
    frozen = folder / "study.toml"
    now = f'measure = "{MEASURE_VERSION}"'
    assert frozen.read_text().count(now) == 1
    frozen.write_text(frozen.read_text().replace(now, f'measure = "{version}"'))
    code, out, err = say("front", folder, "--format", "json")
    assert code == 0
    assert json.loads(out)["trials"]
    assert (SAYS in err) == is_old
    assert say("report", folder)[0] == 0
    assert (SAYS in (folder / "report.html").read_text()) == is_old
