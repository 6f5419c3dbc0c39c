from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command

from anon_tune.cli import app, list_options
from anon_tune.cli.audit_view import AuditProgress
from anon_tune.cli.list_options import spread_lists
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


def test_what_belongs_to_no_option_may_come_after_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("videos", "a"):
        (tmp_path / name).mkdir()
    for given, spread in (
        ("clips import --private a b videos -o x", "clips import --private a --private b videos -o x"),
        ("clips import --private b videos --gray -o x", "clips import --private b videos --gray -o x"),
        ("clips import videos --private b a -o x", "clips import videos --private b --private a -o x"),
        ("clips import --gray videos --private b a", "clips import --gray videos --private b --private a"),
        ("clips import --root r --test-groups d4 kth", "clips import --root r --test-groups d4 kth"),
        ("clips import --private b none -o x", "clips import --private b --private none -o x"),
        ("audit --trial 1 --private b a", "audit --trial 1 --private b a"),
        ("audit --original v --private b a", "audit --original v --private b --private a"),
    ):
        assert spread_lists(given.split()) == spread.split()


def test_the_flags_of_commands_with_lists_are_known() -> None:
    commands: Any = get_command(app)
    imported, audited = commands.commands["clips"].commands["import"], commands.commands["audit"]
    flags = {
        name for param in (*imported.params, *audited.params) if getattr(param, "is_flag", False) for name in param.opts
    } - {"--help"}
    assert flags <= {*list_options._FLAGS}


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
