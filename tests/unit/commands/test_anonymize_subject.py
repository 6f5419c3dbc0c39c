"""The anonymizer that a command line names, and what is known about it."""

from __future__ import annotations

import shutil
from pathlib import Path

from anon_tune.commands.anonymize_subject import choose
from anon_tune.folder import Folder


def test_a_certificate_that_cannot_be_read_is_none(small_study: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(small_study, tmp_path / "study"))
    (study / "audits").mkdir()
    (study / "audits" / "0000.json").write_text('{"schema": "anon_tune.certificate/2"}')
    chosen = choose(None, Folder.at(study), "0000", None, None)
    assert chosen.loaded.subject.name == "0000" and chosen.certificate is None
