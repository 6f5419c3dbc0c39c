"""The help of every command on a terminal of 80 columns: whole names, and no types of Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from anon_tune.cli import app


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, verb in getattr(command, "commands", {}).items():
        yield from commands(verb, (*words, name))


def names(words: tuple[str, ...]) -> list[str]:
    """Return every name of every option of a command."""
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    return [name for param in command.params for name in (*param.opts, *param.secondary_opts) if name.startswith("-")]


@pytest.mark.parametrize("words", commands(get_command(app)), ids=lambda words: " ".join(words) or "anon-tune")
def test_help_fits_80_columns_with_whole_names_and_no_types(
    words: tuple[str, ...], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = say(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert max(map(len, said.out.splitlines())) <= 80
    assert "…" not in said.out and "list[" not in said.out
    assert re.findall(r"(?<!\?P)<[^<>=]+>", said.out) == []  # such as <bool>, but not a named group of a pattern
    missing = [name for name in names(words) if not re.search(rf"(?<![\w-]){name}(?![\w-])", said.out)]
    assert missing == []


def test_an_option_that_help_turns_off_is_still_parsed(say: Callable[..., Any], tmp_path: Path) -> None:
    """Help names ``--no-force`` in the text of ``--force`` only."""
    for flag in ("--force", "--no-force"):
        said = say("export", tmp_path, "-o", "x.safetensors", "--trial", "0000", flag)
        assert said.code == 2 and said.err.startswith(f"error: {tmp_path}: no study there")
