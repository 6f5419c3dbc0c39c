"""``anon-tune certify``: the front of a study is audited in tasks of a real local Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from anon_tune.certificate import read_certificate
from anon_tune.commands.opened_study import open_study

pytestmark = pytest.mark.cluster

EFFORT = {
    "attackers": "frame,pixels",
    "max_steps": 8,
    "check_steps": 4,
    "patience": 1,
    "classifier_steps": 8,
    "reconstruction_steps": 4,
    "num_bootstraps": 20,
    "width": 4,
}
SET = [part for name, value in EFFORT.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture
def study(small_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_study, tmp_path / "study"))


def test_trials_are_certified_once(processes: Any, study: Path) -> None:
    chosen = ["0000", "0001"]
    certify = ["anon-tune", "certify", str(study), "--seeds", "1", *SET, "--trial", "0000", "--trial", "0001"]
    code = processes.run("certify", certify)
    assert (study / "audits").is_dir(), processes.said("certify")
    files = sorted((study / "audits").iterdir())
    assert [file.stem for file in files] == chosen, processes.said("certify")
    made = {file.stem: read_certificate(file) for file in files}
    assert code == (1 if any(one.status == "REFUSED" for one in made.values()) else 0)
    assert all(one.subject.kind == "trial" and one.effort["max_steps"] == 8 for one in made.values())
    assert "1 of 2" in processes.said("certify")
    assert len(list((study / "baselines").iterdir())) == 1

    written = {file: file.stat().st_mtime_ns for file in files}
    assert processes.run("again", certify) == code
    assert {file: file.stat().st_mtime_ns for file in (study / "audits").iterdir()} == written
    assert "Measuring raw clips" not in processes.said("again")

    assert processes.run("other", [*certify, "--trial", "0002"]) in (0, 1)
    assert (study / "audits" / "0002.json").exists()
    assert {file: file.stat().st_mtime_ns for file in files} == written
    more = ["0001", "--seeds", "2"]  # more effort than is there
    assert processes.run("more", [*certify[:-1], *more]) in (0, 1)
    assert {file.name for file in files if file.stat().st_mtime_ns != written[file]} == {"0000.json", "0001.json"}


def test_a_certification_that_was_killed_goes_on(processes: Any, study: Path) -> None:
    command = [sys.executable, "-m", "anon_tune", "certify", str(study), "--seeds", "1", *SET]
    command += ["--trial", "0000", "--trial", "0001", "--trial", "0002"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (study / "audits" / "0000.json").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    first = (study / "audits" / "0000.json").read_bytes()
    assert processes.run("again", ["anon-tune", *command[3:]]) in (0, 1), processes.said("again")
    assert (study / "audits" / "0000.json").read_bytes() == first
    assert all((study / "audits" / f"{number}.json").exists() for number in ("0001", "0002"))


def test_certified_numbers_reach_front_page_and_export(say: Any, study: Path, tmp_path: Path) -> None:
    before = say("export", study, "--trial", "0000", "-o", tmp_path / "plain.safetensors")
    assert before.code == 0
    assert "Not certified" in (tmp_path / "plain.md").read_text()
    say("audit", study, "--trial", "0000", "--seeds", "1", *SET)
    file = study / "audits" / "0000.json"
    document = json.loads(file.read_text()) | {"status": "LOWER_BOUND", "leakage": 0.8125, "leakage_normalized": 0.75}
    file.write_text(json.dumps(document))
    assert open_study(study).certificates["0000"].leakage == 0.8125
    rows = {row["trial"]: row for row in json.loads(say("front", study, "--all", "--format", "json").out)["trials"]}
    assert rows["0000"]["certified"]["leakage"] == 0.8125
    assert rows["0001"]["certified"] is None
    assert "0.812 or more" in say("front", study, "--all").out
    assert open_study(study).to_pandas().loc["0000", "certified_leakage_normalized"] == 0.75
    page = Path(open_study(study).report()).read_text()
    assert "81.2% or more" in page
    say("export", study, "--trial", "0000", "-o", tmp_path / "known.safetensors")
    card = (tmp_path / "known.md").read_text()
    assert "LOWER BOUND" in card and "81.2%" in card and "Not certified" not in card


def test_what_cannot_be_certified_is_one_line(say: Any, study: Path) -> None:
    no_trial = say("certify", study, "--trial", "0009")
    assert (no_trial.code, no_trial.err.count("\n")) == (2, 1)
    assert "no trial '0009'" in no_trial.err
    unknown = say("certify", study, "--set", "max_stepz=3")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)
    assert "Did you mean 'max_steps'?" in unknown.err


def test_a_task_whose_worker_dies_is_begun_again(processes: Any, study: Path) -> None:
    certify = ["anon-tune", "certify", str(study), "--seeds", "1", *SET, "--trial", "0000"]
    driver = processes.start("certify", certify)

    def auditing() -> list[int]:
        return [pid for pid, name in processes.below(driver.pid).items() if name.startswith("ray::_try")]

    processes.wait_until(lambda: bool(auditing()), "certify", driver)
    os.kill(auditing()[0], signal.SIGKILL)
    assert processes.ended(driver) in (0, 1), processes.said("certify")
    assert (study / "audits" / "0000.json").exists()
    assert "1 of 1" in processes.said("certify")
