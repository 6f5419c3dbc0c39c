"""Mistakes that `submit`, `status` and `fetch` refuse before they ask any cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPACE = str(Path(__file__).parents[3] / "search_spaces" / "quickstart.toml")
STUDY = (SPACE, "--clips", "avatars", "--out", "/shared/study")
ADDRESS = ("--address", "http://127.0.0.1:1")

Refused = Callable[..., str]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, say: Callable[..., Any], tmp_path: Path) -> Refused:
    """Call the command line, which must exit with 2 and print nothing, and return what it says on stderr."""
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")

    def call(*arguments: str) -> str:
        said = say(*arguments)
        assert (said.code, said.out) == (2, "")
        return str(said.err)

    return call


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((SPACE, "--clips", "avatars", "--out", "runs/x"), "--out: must be an absolute path"),
        ((SPACE, "--clips", "clips/mine", "--out", "/shared/x"), "--clips: must be an absolute path"),
        ((SPACE, "--clips", "avatars", "--out", "s3://key:hush@b/x"), "must not carry a password or key"),
        ((SPACE, "--clips", "s3://key:hush@b/x", "--out", "/shared/x"), "--clips: must not carry a password or key"),
        ((*STUDY, "--stills", "vispr"), "--stills: must be an absolute path"),
        ((*STUDY, "--warm-start", "runs/y"), "--warm-start: must be an absolute path"),
        ((*STUDY, "--mlflow", "mlruns"), "--mlflow: must be an absolute path"),
        ((*STUDY, "--mlflow", "sqlite:///runs.db"), "--mlflow: must name its database by an absolute path"),
        ((*STUDY, "--storage", "sqlite:///study.db"), "--storage: must name its database by an absolute path"),
        ((*STUDY, "--storage", "sqlite:////shared/study.db", *ADDRESS), "no token for the head"),
        ((*STUDY, "--mlflow", "databricks", *ADDRESS), "no token for the head"),
        ((*STUDY, "--set", "penalty.wieght=1"), "Did you mean 'penalty.weight'?"),
        ((*STUDY, "--stop", "secnds=1"), "Did you mean 'seconds'?"),
        ((*STUDY, "--constraint", "leakage_at_most=2"), "constraints: 'leakage_at_most'"),
        (("none.toml", *STUDY[1:]), "none.toml: cannot be read"),
        (("--resume", "runs/x"), "--resume: must be an absolute path"),
        (("--status", "raysubmit_1", *STUDY), "take one job and nothing else"),
        (("--stop", "raysubmit_1", "--stop", "raysubmit_2"), "take one job and nothing else"),
        (STUDY, "submit: no address of a cluster. Give --address"),
        (("--stop", "raysubmit_1"), "submit: no address of a cluster. Give --address"),
        ((*STUDY, *ADDRESS), "no token for the head"),
    ],
)
def test_a_study_that_cannot_be_sent_is_one_line(refused: Refused, words: tuple[str, ...], said: str) -> None:
    error = refused("submit", *words)
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert "hush" not in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*STUDY, "--trails", "3"), "No such option: --trails"),
        ((*STUDY, "--trials", "0"), "Invalid value for '--trials'"),
        (STUDY[:3], "Missing option '--out'"),
        ((*STUDY, "more"), "unexpected extra argument"),
        (("--resume", "/shared/study", "--seed", "1"), "No such option: --seed"),
    ],
)
def test_an_option_that_study_does_not_know_is_refused_here(
    refused: Refused, words: tuple[str, ...], said: str
) -> None:
    assert said in refused("submit", *words)


def test_status_and_fetch_need_a_study_or_an_address(refused: Refused, tmp_path: Path) -> None:
    assert "no study there" in refused("status", str(tmp_path))
    assert "job raysubmit_1: no address of a cluster" in refused("status", "raysubmit_1")
    assert "job raysubmit_1: no address of a cluster" in refused("fetch", "raysubmit_1")
    assert "no study can be seen there from here" in refused("fetch", "/no/where")


def test_an_empty_token_is_none(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert f"{tmp_path / 'token'}: no token for the head: the file is empty" in refused(
        "status", "raysubmit_1", *ADDRESS
    )


def test_help_lists_the_options_of_study_too(say: Callable[..., Any]) -> None:
    said = say("submit", "--help").out
    assert all(option in said for option in ("--follow", "--address", "--max-concurrent", "--warm-start", "SPACE.toml"))


def test_a_study_here_needs_no_cluster(say: Callable[..., Any], small_study: Path, tmp_path: Path) -> None:
    def ask(*words: object) -> str:
        said = say(*words)
        assert said.code == 0, said.err
        return str(said.out)

    status = json.loads(ask("status", small_study, "--format", "json"))
    assert status["study"] == str(small_study) and [row["trial"] for row in status["running"]] == ["0003"]
    table = ask("status", small_study)
    assert "4 trials: 1 unfinished, 2 complete, 1 pruned" in table and "0003" in table

    copy = tmp_path / "copy"
    assert ask("fetch", small_study, "-o", copy).strip() == str(copy)
    fronts = [ask("front", study, "--format", "json") for study in (small_study, copy)]
    assert fronts[0] == fronts[1]
    assert ask("report", copy).strip() == str(copy / "report.html")
