from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import anon_tune
from anon_tune.cli.clips import parse_size
from anon_tune.cli.list_options import spread_lists
from anon_tune.cli.named_values import parse_setting
from anon_tune.cli.result import _csv, _print_table
from anon_tune.clips import open_clips
from anon_tune.commands.results import read_trials
from anon_tune.errors import AnonTuneError
from anon_tune.ledger import Ledger
from anon_tune.pareto import FrontTable

Answer = Callable[..., str]


@pytest.fixture
def answer(say: Callable[..., Any]) -> Answer:
    """Call the command line, which must end well and leave stderr empty, and return its output."""

    def call(*arguments: object) -> str:
        said = say(*arguments)
        assert (said.code, said.err) == (0, "")
        return str(said.out)

    return call


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("training.seed=1", "training.seed", 1),
        ("penalty.weight=2.5", "penalty.weight", 2.5),
        ("penalty.weight = 1e-3", "penalty.weight", 1e-3),
        ("training.flip=true", "training.flip", True),
        ("penalty.on=features", "penalty.on", "features"),
        ('penalty.on="features"', "penalty.on", "features"),
        ("anonymizer.weights=/tmp/a=b.safetensors", "anonymizer.weights", "/tmp/a=b.safetensors"),
    ],
)
def test_a_setting_is_read_as_toml_or_else_as_it_is(text: str, name: str, value: object) -> None:
    parsed = parse_setting(text)
    assert parsed == (name, value)
    assert type(parsed[1]) is type(value)


def test_a_size_is_height_before_width() -> None:
    assert parse_size("48x64") == (48, 64)
    with pytest.raises(AnonTuneError):
        parse_size("48X")


@pytest.mark.parametrize(
    ("given", "spread"),
    [
        ("--private a b c --group g", "--private a --private b --private c --group g"),
        ("--private a --private b", "--private a --private b"),
        ("videos --test-groups 1 2 -o x", "videos --test-groups 1 --test-groups 2 -o x"),
        ("--val-groups=1 videos", "--val-groups=1 videos"),
        ("--size 4x4 videos", "--size 4x4 videos"),
    ],
)
def test_a_list_option_takes_several_values(given: str, spread: str) -> None:
    assert spread_lists(["clips", "import", *given.split()]) == ["clips", "import", *spread.split()]


def test_other_verbs_are_left_as_they_are() -> None:
    arguments = ["study", "--private", "a", "b"]
    assert spread_lists(arguments) == arguments


def test_the_version_is_the_packages(answer: Answer) -> None:
    assert answer("--version") == f"anon_tune {anon_tune.__version__}\n"


def test_a_paragraph_of_help_is_broken_only_where_the_line_ends(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "\n by luck. This command measures the anchors" in answer("verify", "--help")


def test_avatars_are_made_and_described(answer: Answer, tmp_path: Path) -> None:
    said = answer("clips", "avatars", "-o", tmp_path / "a", "--seed", 3, "--num-frames", 2, "--size", "16x24")
    assert open_clips(tmp_path / "a").shape == (2, 16, 24, 3)
    assert "880 clips of 2 frames, 16 x 24 pixels" in said
    assert "splits: train 480, val 160, test 240" in said
    assert answer("clips", "info", tmp_path / "a") == said


def test_the_front_as_json_is_strict_and_complete(answer: Answer, small_study: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(answer("front", small_study, "--format", "json"), parse_constant=refuse)
    assert list(document) == ["reference_point", "hypervolume", "empty", "cost", "lost_s", "trials"]
    fields = ["value", "floor", "ceiling", "normalized", "interval"]
    leakage = [f"leakage_{name}".removesuffix("_value") for name in fields]
    accuracy = [name.replace("leakage", "accuracy") for name in leakage if "normalized" not in name]
    for row in document["trials"]:
        names = ["trial", "method", "state", "front_rank", "num_repeats", "probability_on_front", "seconds", "params"]
        names += ["certified", "feasible", "seconds_per_frame", "lost_s", "cpu_s", "gpu_s", "money"]
        assert sorted(row) == sorted([*names, *leakage, *accuracy])
    assert {"identity", "black-out"} <= {row["method"] for row in document["trials"]}

    every = json.loads(answer("front", small_study, "--format", "json", "--all"))["trials"]
    states = {row["trial"]: row["state"] for row in every}
    assert states == {
        "identity": "COMPLETE",
        "black-out": "COMPLETE",
        "0000": "COMPLETE",
        "0001": "COMPLETE",
        "0002": "PRUNED",
        "0003": "RUNNING",
    }
    scores = {t.id: t.score for t in Ledger(small_study / "ledger").trials()}
    for row in every:
        score = scores[row["trial"]]
        assert row["leakage"] == (score.leakage.value if score else None)
        assert row["accuracy_interval"] == ([score.accuracy.low, score.accuracy.high] if score else None)


def test_the_front_as_csv_and_as_a_table_has_the_same_rows(answer: Answer, small_study: Path) -> None:
    document = json.loads(answer("front", small_study, "--format", "json", "--all"))["trials"]
    rows = list(csv.DictReader(io.StringIO(answer("front", small_study, "--format", "csv", "--all"))))
    assert [row["trial"] for row in rows] == [row["trial"] for row in document]
    for row, whole in zip(rows, document, strict=True):
        assert float(row["leakage"] or "nan") == pytest.approx(whole["leakage"] or float("nan"), nan_ok=True)
        assert row["penalty.weight"] == str(whole["params"].get("penalty.weight", ""))
    table = answer("front", small_study, "--all").splitlines()
    assert [line.split()[0] for line in table[1:-1]] == [row["trial"] for row in document]
    assert table[-1].startswith("hypervolume ")


def test_a_searched_method_has_its_own_column_only(capsys: pytest.CaptureFixture[str], small_study: Path) -> None:
    trials = [replace(t, params={**t.params, "method": t.method}) for t in read_trials(small_study)]
    table = FrontTable.of(trials, True)
    methods = [row.trial.method for row in table.rows]
    _print_table(table)
    lines = capsys.readouterr().out.splitlines()[1:-1]
    assert [line.split()[1] for line in lines] == methods
    assert any("penalty.weight=" in line for line in lines)
    assert not any("method=" in line for line in lines)
    assert [row["method"] for row in csv.DictReader(io.StringIO(_csv(table)))] == methods


def cut(study: Path, num_records: int) -> None:
    for record in sorted((study / "ledger").iterdir())[num_records:]:
        record.unlink()


def test_a_terminal_that_cannot_show_a_character_shows_a_mark_instead() -> None:
    command = [sys.executable, "-m", "anon_tune", "study", "--help"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"") and b"--clips" in done.stdout


def test_the_current_folder_shadows_nothing_that_is_installed(tmp_path: Path) -> None:
    for name in ("typer", "rich"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('code of the current folder ran')")
    environment = os.environ | {"PYTHONPATH": str(Path(anon_tune.__path__[0]).parent)}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, "-m", "anon_tune", "--version"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and anon_tune.__version__ in done.stdout


def test_a_current_folder_that_was_deleted_is_one_line(tmp_path: Path) -> None:
    start = "[sys.executable, '-m', 'anon_tune', '--version']"
    code = f"import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, {start})"
    environment = os.environ | {"PYTHONPATH": str(Path(anon_tune.__path__[0]).parent)}
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=gone, env=environment, capture_output=True, text=True, check=False
    )
    assert not gone.exists() and (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the current folder: No such file or directory. Change to another one.\n"


def test_a_study_in_a_folder_that_is_not_utf8_has_a_report(small_study: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    shutil.copytree(os.fsencode(small_study), folder)
    for verb in (b"report", b"front", b"status"):
        done = subprocess.run([sys.executable, "-m", "anon_tune", verb, folder], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), verb
    assert os.path.getsize(folder + b"/report.html") > 1000


@pytest.mark.parametrize("num_records", range(0, 20, 3))
def test_a_study_can_be_looked_at_after_every_record(
    answer: Answer, small_study: Path, tmp_path: Path, num_records: int
) -> None:
    shutil.copytree(small_study, tmp_path / "study")
    cut(tmp_path / "study", num_records)
    document = json.loads(answer("front", tmp_path / "study", "--format", "json", "--all"))
    assert len(document["trials"]) == len(Ledger(tmp_path / "study" / "ledger").trials())
    scored = [row for row in document["trials"] if row["leakage"] is not None]
    assert (document["reference_point"] is None) == (not scored)
    answer("front", tmp_path / "study", "--format", "csv")
    answer("front", tmp_path / "study")


def test_the_report_of_a_running_study(answer: Answer, small_study: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert answer("report", small_study, "-o", file) == f"{file}\n"
    assert "0003" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("how", [["--trial", "0001"], ["--leakage-at-most", "1.0"]])
def test_a_pick_becomes_a_file(answer: Answer, small_study: Path, tmp_path: Path, how: list[str]) -> None:
    said = answer("export", small_study, "-o", tmp_path / "picked", *how)
    assert said == f"{tmp_path / 'picked.safetensors'}\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["picked.md", "picked.safetensors"]
    anon_tune.load_anonymizer(tmp_path / "picked.safetensors")


def run(study: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "anon_tune", "front", str(study), *arguments]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=buffered)


@pytest.mark.parametrize("arguments", [["--format", "json", "--all"], ["--format", "csv"], []])
def test_a_reader_that_goes_away_is_no_error_to_talk_about(small_study: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # before the first byte, as a `head -0` may
    process = run(small_study, *arguments, stdout=writer)
    os.close(writer)
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_a_front_goes_through_a_pipe(small_study: Path) -> None:
    process = run(small_study, "--format", "json", "--all")
    head = subprocess.run(["head", "-n", "1"], stdin=process.stdout, capture_output=True, check=True)
    assert head.stdout == b"{\n"
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.wait()


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), ConnectionResetError(104, "Reset by peer")])
def test_a_pipe_that_breaks_elsewhere_is_told(
    monkeypatch: pytest.MonkeyPatch, say: Callable[..., Any], error: OSError
) -> None:
    def broken(location: str) -> None:
        raise error

    monkeypatch.setattr("anon_tune.clips.node_cache.fetch_manifest", broken)
    said = say("clips", "info", "s3://bucket/store")
    assert (said.code, said.err) == (2, f"error: a connection: {error.strerror}.\n")


@pytest.mark.parametrize(
    "words",
    [
        ("anonymize", "in.mp4", "--method", "blur:2"),
        ("clips", "import", "videos"),
        ("clips", "avatars"),
        ("export", "runs/first", "--trial", "0001"),
        ("report", "runs/first"),
        ("audit", "--method", "blur:2"),
        ("fetch", "runs/first"),
    ],
)
def test_an_output_at_a_uri_is_refused(
    say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    """As a path, s3://bucket/x would be a folder named s3: on this machine."""
    monkeypatch.chdir(tmp_path)
    said = say(*words, "-o", "s3://bucket/x")
    assert said.code == 2
    assert said.err.startswith("error: --output: must be a path on this machine, got s3://bucket/x. Name a path")
    assert "secret" not in say(*words, "-o", "s3://key:secret@bucket/x").err
    assert not list(tmp_path.iterdir())
