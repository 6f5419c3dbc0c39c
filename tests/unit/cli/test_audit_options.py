from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from anon_tune.cli.audit_view import AuditProgress
from anon_tune.cli.clips import spread_lists
from anon_tune.commands.audit_options import AuditOptions, check_options
from anon_tune.errors import AnonTuneError
from anon_tune.folder import Folder

SUBJECTS = ("--trial", "--method", "--file", "--original")
FOLDERS = ("--anonymized", "--pattern", "--action", "--private", "--group", "--test-groups")
OTHERS = ("STUDY", "--clips", *FOLDERS, "--size", "--skip-bad")
VALUES = {
    "STUDY": {"study": Folder.at("runs/first")},
    "--trial": {"trial": "0007"},
    "--method": {"method": "blur:4"},
    "--file": {"file": Path("a.safetensors")},
    "--original": {"original": Path("videos")},
    "--clips": {"clips": "avatars"},
    "--anonymized": {"anonymized": Path("blurred")},
    "--pattern": {"pattern": "x"},
    "--action": {"action": "action"},
    "--private": {"private": ("person",)},
    "--group": {"group": "take"},
    "--test-groups": {"test_groups": ("2",)},
    "--size": {"size": (4, 4)},
    "--skip-bad": {"skip_bad": True},
}


def check(*given: str) -> None:
    options: dict[str, Any] = {}
    for name in given:
        options |= VALUES[name]
    check_options(AuditOptions(**options))


@pytest.mark.parametrize(
    "given",
    [
        ("--trial", "STUDY"),
        ("--method", "--clips"),
        ("--file", "--clips"),
        ("--original", *FOLDERS),
        ("--original", *FOLDERS, "--size", "--skip-bad"),
    ],
)
def test_a_subject_goes_with_its_own_options_and_no_others(given: tuple[str, ...]) -> None:
    check(*given)
    for missing in given[1:]:
        if missing not in ("--size", "--skip-bad"):
            with pytest.raises(AnonTuneError, match=f"audit: {given[0]} needs {missing}\\. "):
                check(*(name for name in given if name != missing))
    for other in {*OTHERS} - {*given} - ({"--size", "--skip-bad"} if "--original" in given else set()):
        with pytest.raises(AnonTuneError, match=f"audit: {other} cannot go with {given[0]}\\. "):
            check(*given, other)
    for other in {*SUBJECTS} - {given[0]}:
        with pytest.raises(AnonTuneError, match="give exactly one of"):
            check(*given, other)


def test_a_list_option_takes_several_values() -> None:
    given = ["audit", "--private", "a", "b", "--test-groups", "1", "2", "-o", "x"]
    spread = ["audit", "--private", "a", "--private", "b", "--test-groups", "1", "--test-groups", "2", "-o", "x"]
    assert spread_lists(given) == spread


def said_by(terminal: bool) -> str:
    text = io.StringIO()
    with AuditProgress(Console(file=text, force_terminal=terminal, width=100, highlight=False)) as progress:
        for done in range(4):
            progress.show(f"[attacker] {done}", done, 4)
        progress.show("done", 4, 4)
    return text.getvalue()


def test_a_log_gets_a_line_now_and_then() -> None:
    assert said_by(terminal=False) == "[attacker] 0: 0 of 4\n"


def test_a_terminal_gets_a_bar() -> None:
    said = said_by(terminal=True)
    assert "done" in said and "4/4" in said
