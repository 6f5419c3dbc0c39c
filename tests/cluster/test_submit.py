"""Studies that are submitted to real heads, followed, stopped, fetched, and continued after losses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import Trial, TrialState

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SPACE = "search_spaces/quickstart.toml"
ONE_AT_A_TIME = ["--no-rungs", "--sampler", "qmc", "--seed", "3"]


@pytest.fixture(scope="module")
def one_head(new_site: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head with two CPUs, for all tests that leave it unchanged."""
    with new_site(tmp_path_factory.mktemp("head")) as site:
        site.head("head", 2)
        yield site


def trials(out: Path) -> dict[str, Trial]:
    return {trial.id: trial for trial in Ledger(out / "ledger").trials()}


def complete(out: Path) -> set[str]:
    return {name for name, trial in trials(out).items() if trial.state is TrialState.COMPLETE}


def measured(out: Path) -> list[tuple[Any, ...]]:
    """Return the results of a study, without times and nodes."""
    found = trials(out).values()
    return [(t.id, t.state, dict(t.params), t.score.leakage, t.score.accuracy) for t in found if t.score is not None]


@pytest.mark.usefixtures("shared_ray")
def test_a_study_is_submitted_followed_fetched_and_is_the_one_of_a_laptop(
    one_head: Any,
    say: Callable[..., Any],
    tmp_path: Path,
    tiny_study: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The folder is no project, and its search space extends a file in another folder.
    mine = tmp_path / "spaces" / "mine"
    mine.mkdir(parents=True)
    shutil.copy(ROOT / SPACE, tmp_path / "spaces" / "parent.toml")
    (mine / "space.toml").write_text('extends = "../parent.toml"\n[fixed]\n"training.seed" = 7\n')
    out = tmp_path / "far" / "study"
    words = ["space.toml", *ONE_AT_A_TIME, *tiny_study(out, trials=2, num_steps=4)]
    job = one_head.ask("submit", *words, cwd=mine)
    assert job.startswith("raysubmit_") and job.split() == [job]
    state = json.loads(one_head.ask("status", job, "--format", "json"))
    assert state["job"]["id"] == job and state["study"] == str(out)

    followed = one_head.client("submit", "--status", job, "--follow")
    assert followed.returncode == 0, followed.stderr[-4000:]
    assert f"Report: {out / 'report.html'}" in followed.stderr
    status = json.loads(one_head.ask("status", job, "--format", "json"))
    assert status["job"]["state"] == "SUCCEEDED" and status["is_complete"] and not status["running"]
    assert (status["states"]["COMPLETE"], status["states"]["TO_COME"], status["left_s"]) == (2, 0, 0)
    assert status["cost"]["cpu_s"] > 0 and status["hypervolume"] >= 0
    assert "2 complete" in say("status", out).out

    # The job brought everything that ran there, and nothing else.
    sent = [
        path for path in one_head.folder.glob("head/session_2*/runtime_resources/working_dir_files/*") if path.is_dir()
    ]
    assert {path.name for path in sent[-1].iterdir()} == {"anon_tune", "search_space"}

    # Fetched by copying, and through the port of the dashboard alone.
    copy, through = tmp_path / "copy", tmp_path / "through"
    assert one_head.ask("fetch", job, "-o", str(copy)) == str(copy)
    one_head.ask("fetch", job, "--through-cluster", "--all", "-o", str(through))
    assert len({say("front", study, "--format", "json").out for study in (out, copy, through)}) == 1
    assert (
        (copy / "report.html").read_bytes()
        == (through / "report.html").read_bytes()
        == (out / "report.html").read_bytes()
    )
    weights = "trials/0000/anonymizer.safetensors"
    assert (through / weights).read_bytes() == (out / weights).read_bytes() and not (copy / weights).exists()

    # What a job cannot read there is said here; without an option, as nothing is seen from here.
    os.rename(out.parent, tmp_path / "hidden")
    refused = one_head.client("fetch", job, "-o", str(copy))
    assert refused.returncode == 2 and "no study there" in refused.stderr and refused.stderr.count("\n") == 1
    os.rename(tmp_path / "hidden", out.parent)

    here = tmp_path / "here"
    monkeypatch.chdir(mine)
    done = say("study", *[str(here) if word == str(out) else word for word in words])
    assert done.code == 0, done.err[-4000:]
    assert measured(here) == measured(out) and len(measured(here)) == 4


def test_a_stopped_study_goes_on_where_it_was(
    one_head: Any, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    out, processes, head = tmp_path / "study", one_head.processes, one_head.nodes["head"].pid
    words = ["submit", SPACE, *ONE_AT_A_TIME, *tiny_study(out, trials=3, num_steps=30)]
    job = one_head.ask(*words)
    processes.wait_for(lambda: "identity" in complete(out))
    # The study does not end before the signals arrive, however late they are.
    with processes.held("ray::_Inner", head):
        processes.environment |= {"RAY_API_SERVER_ADDRESS": one_head.address, "PYTHONPATH": str(ROOT)}
        follow = ["python", "-m", "anon_tune", "submit", "--status", job, "--follow"]
        follower = processes.start("follower", follow)
        processes.wait_until(lambda: "identity COMPLETE" in processes.said("follower"), "follower", follower)
        follower.send_signal(signal.SIGINT)
        assert processes.ended(follower) == 130
    said = processes.said("follower")
    assert f"The job goes on. Follow it: anon-tune submit --status {job} --follow" in said and "Traceback" not in said
    processes.wait_for(lambda: "0000" in complete(out))
    with processes.held("ray::_Inner", head):
        assert one_head.ask("submit", "--stop", job) == "STOPPED"
    before = trials(out)
    assert len(complete(out)) < 5 and one_head.client("submit", "--status", job, "--follow").returncode == 1

    longer = one_head.ask("submit", "--resume", str(out), "--trials", "4", "--follow")
    after = trials(out)
    assert complete(out) == {"identity", "black-out", "0000", "0001", "0002", "0003"}
    assert all(after[name] == trial for name, trial in before.items() if trial.state is TrialState.COMPLETE)
    ledger = pd.read_parquet(out / "ledger").drop_duplicates("record")
    assert (ledger[ledger["full"] == True].groupby("trial").size() == 1).all()  # noqa: E712 - a column with nulls
    assert json.loads(one_head.ask("status", longer, "--format", "json"))["states"]["COMPLETE"] == 4


def test_who_has_no_token_gets_one_line(one_head: Any, tmp_path: Path, tiny_study: Callable[..., list[str]]) -> None:
    study = tiny_study(tmp_path / "study", trials=1, num_steps=4)
    wrong = tmp_path / "wrong"
    wrong.write_text("d" * 64)
    submit = ["submit", SPACE, *study]
    no_token, wrong_token = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}, {"RAY_AUTH_TOKEN_PATH": str(wrong)}
    for words, environment, said in (
        (submit, no_token, "no token for the head"),
        (submit, wrong_token, "does not accept this token"),
        (submit, {"RAY_AUTH_MODE": "disabled"}, "asks for a token"),
        (["submit", "--stop", "raysubmit_x"], wrong_token, "does not accept this token"),
        (["status", "raysubmit_x"], wrong_token, "does not accept this token"),
        (["fetch", "raysubmit_x"], wrong_token, "does not accept this token"),
    ):
        done = one_head.client(*words, **environment)
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1 and not done.stdout
    unknown = one_head.client("status", "raysubmit_x")
    assert unknown.returncode == 2 and "no such job" in unknown.stderr
    assert not (tmp_path / "study").exists()


def test_the_token_is_in_nothing_that_a_head_keeps(one_head: Any) -> None:
    token = (one_head.folder / "token").read_bytes()
    kept = {}
    for folder, _, names in os.walk(one_head.folder / "head"):  # Ray renames and deletes meanwhile: walk minds neither
        for path in (Path(folder, name) for name in names):
            if path.suffix in (".log", ".out", ".err", ".json", "") and path.is_file():
                with suppress(FileNotFoundError):
                    kept[path] = path.read_bytes()
    assert len(kept) > 10
    assert not [path for path, content in kept.items() if token in content]
    listed = subprocess.run(
        ["ray", "job", "list", "--address", one_head.address],
        env=one_head.processes.environment,
        capture_output=True,
        check=True,
    )
    assert b"raysubmit_" in listed.stdout and token not in listed.stdout
