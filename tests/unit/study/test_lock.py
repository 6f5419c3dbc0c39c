"""Only one driver at a time, on a file system and on an object store; a dead driver does not block others."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.errors import StudyError
from anon_tune.folder import Folder
from anon_tune.ledger import Ledger
from anon_tune.study import lock
from anon_tune.study.lock import driver_lock, driver_of
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial, TrialState

HOLD = """
import sys, time
from anon_tune.ledger import Ledger
from anon_tune.study import lock
lock._BEAT_S = 0.5
with lock.driver_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["path", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(lock, "_BEAT_S", 0.5)
    monkeypatch.setattr(lock, "_DEAD_AFTER_S", 4.0)
    if request.param == "path":
        return str(tmp_path)
    uri: str = request.getfixturevalue("s3")
    return uri.format("study")


def test_one_driver_at_a_time_and_a_dead_one_does_not_count(location: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, location], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        message = f"another process is running this study, got pid {other.pid} on "
        with pytest.raises(StudyError, match=message), driver_lock(location):
            pass
        assert str(driver_of(location)).startswith(f"pid {other.pid} on ")
        other.kill()
    assert driver_of(location) is None
    for _ in range(2):
        with driver_lock(location) as hold:
            hold.check()
            assert not hold.lost.is_set()


def test_looking_who_drives_a_study_keeps_no_driver_out(tmp_path: Path) -> None:
    assert driver_of(tmp_path) is None and not any(tmp_path.iterdir())  # and writes nothing
    with driver_lock(tmp_path):
        pass
    with open(tmp_path / ".lock", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as one who looks has it for a moment
        threading.Timer(0.2, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        with driver_lock(tmp_path):
            assert driver_of(tmp_path) == f"pid {os.getpid()} on {socket.gethostname()}"


def test_a_copy_that_the_next_fetch_replaces_is_never_written(tmp_path: Path) -> None:
    copy = StudyDirectory.at(tmp_path)
    copy.mark_as_copy("s3://bucket/study")
    message = r"is a copy of s3://bucket/study, and the next fetch .* Give the original, or remove \.fetched to"
    with pytest.raises(StudyError, match=message), driver_lock(copy):
        pass
    copy.folder.remove(".fetched")
    with driver_lock(copy):
        pass


def test_a_lock_that_was_taken_over_is_known_to_be_lost(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT_S", 0.2)
    folder = Folder.at(s3.format("study"))
    with driver_lock(folder) as hold:
        folder.write(".lock", b'{"key": "another", "holder": "pid 1 on elsewhere"}')
        assert hold.lost.wait(300)
        with pytest.raises(StudyError, match="another process has taken this study over"):
            hold.check()
    assert folder.read(".lock").startswith(b'{"key": "another"')  # it is not ours to remove


def test_who_slept_while_another_took_over_writes_no_record(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT_S", 1000.0)  # no beat of its own tells it
    monkeypatch.setattr(lock, "_DEAD_AFTER_S", 0.2)
    folder = Folder.at(s3.format("study"))
    trial = Trial("0000", 0, "adversarial", {}, "f" * 16, TrialState.RUNNING)
    with driver_lock(folder) as hold:
        ledger = Ledger(folder / "ledger", hold.check)
        ledger.append(trial)
        folder.write(".lock", b'{"key": "another", "holder": "pid 1 on elsewhere"}')
        Ledger(folder / "ledger").append(replace(trial, id="0001"))  # what the other one writes
        time.sleep(0.3)
        with pytest.raises(StudyError, match="another process has taken this study over"):
            ledger.append(replace(trial, id="0002"))
    assert [t.id for t in Ledger(folder / "ledger").trials()] == ["0000", "0001"]


def test_who_slept_and_still_has_the_lock_goes_on(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT_S", 1000.0)
    monkeypatch.setattr(lock, "_DEAD_AFTER_S", 0.2)
    with driver_lock(s3.format("study")) as hold:
        time.sleep(0.3)
        hold.check()
        assert not hold.lost.is_set()
