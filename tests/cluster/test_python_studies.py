"""Studies run from Python: the example of docs/python.md, a sampler of the caller, and a package of somebody else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

import anon_tune
from anon_tune.clips import Clips
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(environment: Callable[[], dict[str, str]], tmp_path: Path) -> Program:
    """Run Python code in an empty folder, as a program of somebody who has installed the package."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        known = environment() | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=known, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


@pytest.mark.usefixtures("shared_ray")
def test_the_example_of_the_page_runs(
    tmp_path: Path, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.S)
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    # The lines as they stand, but for fewer trials and less effort, and a limit that trials of six steps can keep.
    code = example
    shorter = {
        "trials=16": f"trials=1, rungs=False, max_concurrent=1, set={tiny_params}",
        "leakage_at_most=0.75": "leakage_at_most=1.0",
    }
    for words, others in shorter.items():
        assert code.count(words) == 1
        code = code.replace(words, others)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["changed"].shape == names["frames"].shape
    assert sorted(names["table"].index) == ["0000", "black-out", "identity"]
    assert "; hypervolume " in capfd.readouterr().out  # what print(study.front) shows
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    assert (tmp_path / "anonymizer.safetensors").is_file()


class Upwards(BaseSampler):
    """Proposes 1, 2, 3 and so on, and remembers the losses of the trials that it could see when it last proposed."""

    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, name: str, distribution: BaseDistribution
    ) -> float:
        self.seen = sorted(trial.values for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))
        return 1.0 + trial.number


@pytest.mark.usefixtures("shared_ray")
def test_a_sampler_of_the_callers_proposes_every_trial_and_the_study_goes_on_with_a_new_one(
    avatars: Clips, tmp_path: Path, tiny_params: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "space.toml"
    space.write_text('[search]\n"penalty.weight" = { low = 0.1, high = 10.0 }\n')
    how: dict[str, Any] = {"clips": avatars.directory, "out": tmp_path / "study", "set": tiny_params, "rungs": False}
    how["max_concurrent"] = 1
    study = anon_tune.run_study(space, trials=2, sampler=Upwards(), **how)
    assert study.settings.sampler_class == f"{__name__}.Upwards"
    assert _weights(study) == {"0000": 1.0, "0001": 2.0}
    with pytest.raises(StudyError, match="Upwards"):
        study.resume(trials=3)
    scores = [trial.score for trial in study.trials if trial.score and not trial.is_anchor]
    before = sorted([score.leakage.validation, -score.accuracy.validation] for score in scores)
    new = Upwards()
    assert _weights(study.resume(trials=3, sampler=new)) == {"0000": 1.0, "0001": 2.0, "0002": 3.0}
    assert new.seen == before
    assert "[I 20" not in capfd.readouterr().err  # as Optuna's own log lines begin


def _weights(study: anon_tune.Study) -> dict[str, Any]:
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    return {trial.id: trial.params["penalty.weight"] for trial in study.trials if not trial.is_anchor}


def test_a_package_is_brought_unless_ray_runs_already_which_is_one_line(
    program: Program, example_package: Path, avatars: Clips, tmp_path: Path, tiny_params: dict[str, Any]
) -> None:
    code = f"""
import ray
import anon_tune
from anon_tune.errors import UsageError

def run():
    fixed = {tiny_params | {"training.num_steps": 2}}
    space, clips = {str(example_package / "space.toml")!r}, {str(avatars.directory)!r}
    package = {str(example_package)!r}
    how = {{"rungs": False, "max_concurrent": 1, "packages": [package]}}
    return anon_tune.run_study(space, clips=clips, out="study", trials=2, set=fixed, **how)

ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
try:
    run()
except UsageError as error:
    print("refused:", error)
ray.shutdown()
print(sorted(trial.method for trial in run().trials))
"""
    done = program(code)
    assert done.returncode == 0, done.stderr[-4000:]
    refused, methods = [line for line in done.stdout.splitlines() if line]
    assert refused.startswith("refused: node '") and "unknown method 'halve'" in refused
    assert "Call ray.shutdown() first" in refused
    assert methods == "['black-out', 'halve:0.25', 'identity', 'tint']"
    assert {trial.state for trial in Ledger(tmp_path / "study" / "ledger").trials()} == {TrialState.COMPLETE}
