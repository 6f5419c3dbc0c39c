"""``anon-tune certify``: the front of a study is audited in tasks of a real local Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
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


@pytest.mark.usefixtures("shared_ray")
def test_trials_are_certified_once(say: Any, study: Path) -> None:
    certify = ["certify", study, "--seeds", "1", *SET, "--trial", "0000", "--trial", "0001"]
    said = say(*certify)
    assert (study / "audits").is_dir(), said.err
    files = sorted((study / "audits").iterdir())
    assert [file.stem for file in files] == ["0000", "0001"], said.err
    made = {file.stem: read_certificate(file) for file in files}
    assert said.code == (1 if any(one.status == "REFUSED" for one in made.values()) else 0)
    assert all(one.subject.kind == "trial" and one.effort["max_steps"] == 8 for one in made.values())
    assert "1 of 2" in said.out + said.err
    assert len(list((study / "baselines").iterdir())) == 1

    written = {file: file.stat().st_mtime_ns for file in files}
    again = say(*certify)
    assert again.code == said.code
    assert {file: file.stat().st_mtime_ns for file in (study / "audits").iterdir()} == written
    assert "Measuring raw clips" not in again.out + again.err

    assert say(*certify, "--trial", "0002").code in (0, 1)
    assert (study / "audits" / "0002.json").exists()
    assert {file: file.stat().st_mtime_ns for file in files} == written
    assert say(*certify[:-1], "0001", "--seeds", "2").code in (0, 1)  # more effort than is there
    assert {file.name for file in files if file.stat().st_mtime_ns != written[file]} == {"0000.json", "0001.json"}


def test_a_task_that_the_clips_are_not_made_for_is_refused_at_once(say: Any, study: Path) -> None:
    said = say("certify", study, "--trial", "0000", "--set", "task=anomaly", "--set", "segments=2")
    assert said.code == 2 and said.err.startswith("error: certify: the task 'anomaly' needs normal clips")


@pytest.mark.usefixtures("shared_ray")
def test_a_certification_that_was_killed_goes_on(say: Any, processes: Any, study: Path) -> None:
    command = ["certify", str(study), "--seeds", "1", *SET]
    for trial in ("0000", "0001", "0002"):  # one more than there are CPUs
        command += ["--trial", trial]
    first_file = study / "audits" / "0000.json"
    driver = processes.start("certify", ["anon-tune", *command])
    processes.wait_until(first_file.exists, "certify", driver)
    driver.send_signal(signal.SIGINT)
    assert processes.ended(driver) == 130, processes.said("certify")
    assert "Traceback" not in processes.said("certify")
    first = first_file.read_bytes()
    again = say(*command)
    assert again.code in (0, 1), again.err
    assert first_file.read_bytes() == first
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


@pytest.mark.usefixtures("shared_ray")
def test_a_task_whose_worker_dies_is_begun_again(say: Any, processes: Any, study: Path) -> None:
    killed: list[int] = []

    def auditing() -> list[int]:
        return [pid for pid, name in processes.below(os.getpid()).items() if name.startswith("ray::_try")]

    def kill() -> None:
        processes.wait_for(auditing)
        killed.extend(auditing()[:1])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    said = say("certify", study, "--seeds", "1", *SET, "--trial", "0000")
    killer.join()
    assert killed and said.code in (0, 1), said.err
    assert (study / "audits" / "0000.json").exists()
    assert "1 of 1" in said.out + said.err
