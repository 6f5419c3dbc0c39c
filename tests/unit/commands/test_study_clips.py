"""The built-in clips of a study at a URI."""

from __future__ import annotations

from pathlib import Path

import pytest

from anon_tune.clips.manifest import FRAMES
from anon_tune.commands.study_clips import find_clips
from anon_tune.folder import Folder
from anon_tune.study_directory import StudyDirectory


def test_clips_whose_copy_was_interrupted_are_copied_again(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANON_TUNE_CACHE", str(tmp_path / "cache"))
    study = StudyDirectory.at(s3.format("study"))
    study.clips.write(FRAMES, b"the first of two files")
    clips = find_clips("avatars", Folder.at(study.folder))
    written = study.clips.read(FRAMES)
    assert clips.fingerprint == find_clips("avatars", Folder.at(study.folder)).fingerprint
    assert len(written) > 1000 and study.clips.read(FRAMES) == written
