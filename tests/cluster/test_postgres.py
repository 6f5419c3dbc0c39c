"""Studies with an Optuna storage on a real PostgreSQL server, whose password must not be written anywhere."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import ray
import ray.cloudpickle

from anon_tune.driver.run import StudyInterrupted, run_study
from anon_tune.errors import AnonTuneError, UnreachableError
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import load_study
from anon_tune.study.settings import StudySettings
from anon_tune.trackers.optuna_storage import open_storage
from anon_tune.trial import Reading, RungJob, RungReport, Score, Trial

pytestmark = pytest.mark.cluster
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test module

PASSWORD = "not-to-be-found-7261"
SPACE = SearchSpace.from_tables(
    {
        "fixed": {"training.num_steps": 90},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}},
        "study": {"rungs": {"min_steps": 30, "factor": 3}},
    },
    "toy.toml",
)


@dataclass(frozen=True)
class Body:
    """A trial body with a trade-off in one param."""

    def advance(self, job: RungJob) -> RungReport:
        place = job.recipe.penalty.weight.start / 10
        leakage, accuracy = (0.95, 0.95) if job.recipe.method == "identity" else (0.4 + 0.4 * place, 0.5 + 0.4 * place)
        readings = [Reading(v, 0.2, 0.95, v, v, v) for v in (leakage, accuracy)]
        score = Score(job.full, *readings, {}, {}, 0.1, 1, 1, 0, 0.1)
        return RungReport(job.trial_id, job.rung, job.step, score, (), 0.1, "here", "")


def run_as_owner(command: list[str], folder: Path) -> None:
    """Run a command as the owner of the server, because PostgreSQL refuses to run as root."""
    as_owner: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=500, **as_owner)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A private server that asks for a password; yields a URL without one."""
    pytest.importorskip("psycopg")
    places = [*glob.glob("/usr/lib/postgresql/*/bin"), os.path.dirname(shutil.which("initdb") or "")]
    binaries = next((Path(place) for place in places if place and (Path(place) / "initdb").exists()), None)
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # its socket's path has 107 bytes at most
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
            shutil.chown(folder / "password", "nobody", "nogroup")
        data = str(folder / "data")
        secrets = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
        run_as_owner([str(binaries / "initdb"), "-D", data, "-U", "ann", "--no-sync", *secrets], folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
        run_as_owner([*control, "-o", options, "start"], folder)
        try:
            yield f"postgresql://ann@127.0.0.1:{port}/postgres"
        finally:
            run_as_owner([*control, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def recorded(url: str) -> dict[str, dict[str, str]]:
    """Return the state of every trial by study and trial."""
    storage = open_storage(url, Path())
    studies = {
        name: optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)
    }
    return {name: {t.user_attrs["trial"]: t.state.name for t in study.trials} for name, study in studies.items()}


@pytest.mark.usefixtures("shared_ray")
def test_a_study_on_postgresql_is_stopped_and_resumed(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    directory = tmp_path / "study"
    settings = StudySettings(num_trials=4, sampler="random", storage=server, max_concurrent=1)
    sent: list[bool] = []

    def stop_at_second_trial(trials: Sequence[Trial]) -> None:
        if not sent and any(t.number == 1 and t.reports for t in trials):
            sent.append(True)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(StudyInterrupted):
        run_study(directory, SPACE, Body(), settings, stop_at_second_trial)
    ((name, before),) = recorded(server).items()
    assert name.startswith("study-") and before["0000"] == "COMPLETE" and "RUNNING" in before.values()

    # The Optuna study is written again under its name, so no trial is left RUNNING in it.
    space, settings = load_study(directory)
    assert settings.record_name == name
    trials = {t.id: t for t in run_study(directory, space, Body(), settings).trials()}
    assert recorded(server) == {name: {f"{n:04d}": "COMPLETE" for n in range(4)}}

    # Another study of the same name has an Optuna study of its own and does not change this one.
    other = StudySettings(num_trials=1, sampler="random", storage=server, max_concurrent=1)
    run_study(tmp_path / "elsewhere" / "study", SPACE, Body(), other)
    both = recorded(server)
    assert len(both) == 2 and sorted(map(len, both.values())) == [1, 4] and len(both[name]) == 4
    losses = optuna.load_study(study_name=name, storage=open_storage(server, tmp_path)).trials[0].values
    score = trials["0000"].score
    assert score is not None and losses == [score.leakage.validation, -score.accuracy.validation]

    for file in tmp_path.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


def test_a_server_that_cannot_be_used_is_one_line(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and listens to nobody
        url = f"postgresql://ann@127.0.0.1:{nobody.getsockname()[1]}/postgres"
        with pytest.raises(
            UnreachableError, match=r"^--storage: cannot be opened: .*Connection refused.*, got postgresql://"
        ):
            open_storage(url, tmp_path)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    refused = r"^--storage: cannot be opened: .*password authentication failed"
    with pytest.raises(UnreachableError, match=refused) as told:
        open_storage(server, tmp_path)
    assert "\n" not in str(told.value) and "wrong" not in str(told.value)
    with pytest.raises(AnonTuneError, match=r"got postgresql://ann:\*\*\*@127.* Put the password into PGPASSWORD"):
        StudySettings(storage=server.replace("ann@", f"ann:{PASSWORD}@"))
