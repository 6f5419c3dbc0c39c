"""The package as a stranger has it: a wheel, built and installed into an empty place, run from a folder with traps.

The folder holds modules with the names of packages that every worker needs, and the environment holds secrets.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SECRETS = ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD")
PLANTED = ("safetensors", "numpy", "torch", "pyarrow", "optuna", "selectors")


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed a wheel of this package into; its dependencies are those that run this test."""
    folder = tmp_path_factory.mktemp("wheel")
    source, wheels, target = folder / "source", folder / "wheels", folder / "site-packages"
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


@dataclass
class Left:
    """What a study left: its directory, the folder it was run from, the folder of Ray, and the secrets it knew."""

    study: Path
    here: Path
    ray: Path
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def left(
    site_packages: Path,
    environment: Callable[[], dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
    tiny_study: Callable[..., list[str]],
) -> Iterator[Left]:
    scratch, ray = tmp_path_factory.mktemp("stranger"), Path(tempfile.mkdtemp(prefix="at"))  # Ray needs a short name
    found = Left(scratch / "study", scratch / "here", ray, {name: secrets.token_hex(20) for name in SECRETS})
    found.here.mkdir()
    for name in PLANTED:  # modules that create a file when they are imported
        code = f"open({str(found.here / 'ran')!r}, 'a').write('{name} ')\nraise ImportError('planted')\n"
        (found.here / f"{name}.py").write_text(code)
    known = environment() | {"PYTHONPATH": str(site_packages), "RAY_AUTH_MODE": "token", "RAY_TMPDIR": str(ray)}
    known |= found.secrets

    def run(*words: str) -> str:
        done = subprocess.run(words, env=known, cwd=found.here, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        assert not [name for name, value in found.secrets.items() if value in done.stdout + done.stderr]
        return done.stdout

    home = run(sys.executable, "-P", "-c", "import anon_tune; print(anon_tune.__path__[0])")
    assert home.strip() == str(site_packages / "anon_tune")  # and not this checkout
    words = tiny_study(found.study, trials=1, num_steps=4)
    words[words.index("--clips") + 1] = "avatars"  # made in the study directory
    run(str(site_packages / "bin" / "anon-tune"), "study", "quickstart", *words, "--no-rungs")
    yield found
    shutil.rmtree(ray, ignore_errors=True)


def test_a_study_runs_from_a_wheel(left: Left) -> None:
    trials = Ledger(left.study / "ledger").trials()
    assert sorted(trial.id for trial in trials) == ["0000", "black-out", "identity"]
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert "privacy.weight" in next(trial for trial in trials if trial.id == "0000").params  # of quickstart.toml
    page = (left.study / "report.html").read_text(encoding="utf-8")
    assert "<script>" in page and "<style>" in page  # the files that the page is made of were installed, too


def test_the_current_folder_is_not_where_driver_and_workers_import_from(left: Left) -> None:
    assert {file.stem for file in left.here.glob("*.py")} == {*PLANTED}
    assert not (left.here / "ran").exists(), (left.here / "ran").read_text()


def test_no_secret_is_in_what_a_study_leaves(left: Left) -> None:
    files = [file for folder in (left.study, left.ray) for file in folder.rglob("*") if file.is_file()]
    kinds = {file.suffix for file in files}
    assert {".toml", ".parquet", ".html", ".safetensors", ".journal", ".log"} <= kinds
    assert any("raylet" in file.name for file in files)  # the logs of Ray are among them
    assert list((left.study / "tensorboard").glob("*/events.out.tfevents.*"))
    for file in files:
        content = file.read_bytes()
        assert not [name for name, value in left.secrets.items() if value.encode() in content], file
