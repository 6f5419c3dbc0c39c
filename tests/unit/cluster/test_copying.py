from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.cluster.bundle import bundle, unbundle
from anon_tune.cluster.copying import read_study, write_copy
from anon_tune.errors import ClusterError, StudyError
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
