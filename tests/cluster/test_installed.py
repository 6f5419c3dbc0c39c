"""The package as a stranger has it: a wheel, built and installed into an empty place, run from an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """The folder that pip installed a wheel of this package into; its dependencies are those that run this test."""
    source, wheels, target = tmp_path / "source", tmp_path / "wheels", tmp_path / "site-packages"
    for name in ("anon_tune", "search_spaces"):  # a copy, as setuptools builds beside the sources
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip"]
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    return target


def test_a_study_runs_from_a_wheel_in_an_empty_folder(
    site_packages: Path, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    here = tmp_path / "empty"
    here.mkdir()
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    known |= {"PYTHONPATH": str(site_packages), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=known, cwd=here, capture_output=True, text=True, check=False)

    home = run(sys.executable, "-c", "import anon_tune; print(anon_tune.__path__[0])")
    assert home.stdout.strip() == str(site_packages / "anon_tune")  # and not this checkout
    words = tiny_study(here / "study", trials=1, num_steps=4)
    words[words.index("--clips") + 1] = "avatars"  # made in the study directory
    command = str(site_packages / "bin" / "anon-tune")
    done = run(command, "study", "quickstart", *words, "--no-rungs")
    assert done.returncode == 0, done.stderr[-4000:]
    trials = Ledger(here / "study" / "ledger").trials()
    assert sorted(trial.id for trial in trials) == ["0000", "black-out", "identity"]
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert "privacy.weight" in next(trial for trial in trials if trial.id == "0000").params  # of quickstart.toml
    page = (here / "study" / "report.html").read_text(encoding="utf-8")
    assert "<script>" in page and "<style>" in page  # the files that the page is made of were installed, too
