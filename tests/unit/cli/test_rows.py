"""A front and a status on terminals of any width: no number, no id and no param is cut."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from anon_tune.cli.rows import lay_out
from anon_tune.commands.results import read_trials
from anon_tune.pareto import FrontTable

HEADS = ["trial", "leakage", "params"]
ROWS = [["0003", "0.512 (0.480 to 0.540)", "penalty.weight=0.123 privacy.cap=2.5"], ["identity", "0.9", ""]]


def test_a_table_breaks_only_its_last_column_and_only_at_spaces() -> None:
    assert lay_out(HEADS, ROWS, None).splitlines() == [
        "trial     leakage                 params",
        "0003      0.512 (0.480 to 0.540)  penalty.weight=0.123 privacy.cap=2.5",
        "identity  0.9",
    ]
    assert lay_out(HEADS, ROWS, 60).splitlines() == [
        "trial     leakage                 params",
        "0003      0.512 (0.480 to 0.540)  penalty.weight=0.123",
        "                                  privacy.cap=2.5",
        "identity  0.9",
    ]


def test_where_a_table_does_not_fit_each_row_has_lines_of_its_own() -> None:
    assert lay_out(HEADS, ROWS, 40).splitlines() == [
        "trial 0003",
        "  leakage 0.512 (0.480 to 0.540)",
        "  params penalty.weight=0.123",
        "  privacy.cap=2.5",
        "trial identity",
        "  leakage 0.9",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_shows_every_number_and_every_param(small_study: Path, width: int) -> None:
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "anon_tune", "front", str(small_study), "--all"]
    with subprocess.Popen(command, stdout=writer, env=environment) as process:
        os.close(writer)
        said = b""
        while True:
            try:
                piece = os.read(reader, 4096)
            except OSError:  # the terminal is closed
                break
            said += piece
            if not piece:
                break
    os.close(reader)
    assert process.returncode == 0
    words = said.decode().split()
    for row in FrontTable.of(read_trials(small_study), True).to_json()["trials"]:
        expected = [row["trial"], f"{row['seconds']:.0f}", *(f"{name}={v:.3g}" for name, v in row["params"].items())]
        expected += [f"{row[name]:.3f}" for name in ("leakage", "accuracy") if row[name] is not None]
        assert set(expected) <= set(words), row["trial"]
    table = said.decode().partition("hypervolume")[0]  # a sentence is left to the terminal to break
    assert all(len(line) <= width for line in table.splitlines())
