from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.cluster.bundle import bundle, unbundle
from anon_tune.cluster.copying import read_study, write_copy
from anon_tune.errors import ClusterError, StudyError
from anon_tune.folder import Folder
from anon_tune.ledger import Ledger
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial, TrialState


def test_a_copy_holds_what_front_and_report_need_and_no_more(small_study: Path, tmp_path: Path) -> None:
    origin = str(small_study)
    assert write_copy(read_study(origin, False), tmp_path / "copy", origin) == 4
    assert {path.name for path in (tmp_path / "copy").iterdir()} - {"report.html"} == {
        "study.toml",
        "ledger",
        ".fetched",
    }
    assert Ledger(tmp_path / "copy" / "ledger").trials() == Ledger(small_study / "ledger").trials()
    write_copy(read_study(origin, True), tmp_path / "copy", origin)
    weights = "trials/0000/anonymizer.safetensors"
    assert (tmp_path / "copy" / weights).read_bytes() == (small_study / weights).read_bytes()


def test_a_study_behind_a_uri_is_read_like_one_here(small_study: Path) -> None:
    assert dict(read_study(f"file://{small_study}", True)) == dict(read_study(small_study, True))


def test_a_copy_is_brought_up_to_date_and_nothing_else_is_written_over(tmp_path: Path) -> None:
    study, copy = tmp_path / "study", tmp_path / "copy"
    study.mkdir()
    (study / "study.toml").write_text("")
    ledger = Ledger(study / "ledger")
    for number in range(70):  # more than 64: the first ones are merged
        if number == 10:
            write_copy(read_study(str(study), False), copy, str(study))
        ledger.append(Trial(f"{number:04}", number, "adversarial", {}, "f", TrialState.RUNNING))
    assert len(list((copy / "ledger").iterdir())) == 10
    assert write_copy(read_study(str(study), False), copy, str(study)) == 70
    assert {file.name for file in (copy / "ledger").iterdir()} == {file.name for file in (study / "ledger").iterdir()}

    with pytest.raises(StudyError, match=f"holds a copy of {study}"):
        write_copy(read_study(str(study), False), copy, "/another/study")
    for taken in (study, tmp_path):
        with pytest.raises(StudyError, match="must be empty or hold a fetched study"):
            write_copy(read_study(str(study), False), taken, str(study))
    with pytest.raises(StudyError, match="no study there"):
        write_copy(read_study(str(tmp_path / "none"), False), tmp_path / "new", "none")
    assert not (tmp_path / "new").exists()


def test_a_copy_of_a_study_that_goes_on_is_no_longer_complete(tmp_path: Path) -> None:
    study, copy = StudyDirectory.at(tmp_path / "study"), StudyDirectory.at(tmp_path / "copy")
    study.frozen.write(b"")
    Ledger(study.ledger).append(Trial("0000", 0, "adversarial", {}, "f", TrialState.COMPLETE))
    study.ended.write(b"")
    write_copy(read_study(study, False), copy.folder.path, str(study))
    assert copy.ended.exists()
    study.ended.remove()
    write_copy(read_study(study, False), copy.folder.path, str(study))
    assert not copy.ended.exists()


def test_a_copy_of_a_study_that_ends_meanwhile_does_not_say_that_it_is_complete(tmp_path: Path) -> None:
    study, copy = StudyDirectory.at(tmp_path / "study"), StudyDirectory.at(tmp_path / "copy")
    study.frozen.write(b"")
    trial = Trial("0000", 0, "adversarial", {}, "f", TrialState.RUNNING)
    ledger = Ledger(study.ledger)
    ledger.append(trial)
    files = read_study(study, False)
    first = next(files)  # by now the ledger is read
    ledger.append(replace(trial, state=TrialState.COMPLETE))
    study.ended.write(b"")
    write_copy([first, *files], copy.folder.path, str(study))
    assert [one.state for one in Ledger(copy.ledger).trials()] == [TrialState.RUNNING]
    assert not copy.ended.exists()


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_repeats_that_are_removed_during_the_copy_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    study = StudyDirectory.at(tmp_path / "study")
    study.frozen.write(b"")
    Ledger(study.ledger).append(Trial("0000", 0, "adversarial", {}, "f", TrialState.COMPLETE))
    trial = tmp_path / "study" / "trials" / "0000"
    repeat = trial / "repeat-1"
    repeat.mkdir(parents=True)
    for file in (trial / "anonymizer.safetensors", repeat / "preview.png", repeat / "preview.webm"):
        file.write_bytes(b"1")
    kind, read = type(study.folder), type(study.folder).read

    def read_as_a_network_does(folder: Folder, name: str) -> bytes:
        if "repeat" in name and not repeat.exists():
            raise OSError(code, os.strerror(code), name)
        return read(folder, name)

    monkeypatch.setattr(kind, "read", read_as_a_network_does)
    names = []
    for name, _ in read_study(study, True):
        names.append(name)
        if name == "trials/0000/repeat-1/preview.png":
            shutil.rmtree(repeat)  # as `verify` does with what it has measured
    assert names[-2:] == ["trials/0000/anonymizer.safetensors", "trials/0000/repeat-1/preview.png"]


@pytest.mark.parametrize(
    "name",
    [
        "../study.toml",
        "/etc/passwd",
        "ledger/../../x.parquet",
        "trials/x/code.py",
        ".fetched",
        "trials/../../preview.png",
    ],
)
def test_a_file_that_no_study_has_is_never_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="sent a file that no study has"):
        write_copy([(name, b"1")], tmp_path / "copy", "far")
    assert not (tmp_path / "copy").exists()


def test_a_bundle_comes_through_a_log_with_what_others_say_or_not_at_all(small_study: Path) -> None:
    lines = list(bundle(str(small_study), True))
    noise = ["(raylet) something else", ""]
    found = dict(unbundle([noise[0], *(text for line in lines for text in (line, *noise))], "there"))
    assert found == dict(read_study(str(small_study), True))
    for damaged in (lines[:-1], lines[1:], []):
        with pytest.raises(ClusterError, match="there: the study arrived incomplete or damaged"):
            dict(unbundle(damaged, "there"))
