"""No file that a study leaves contains a secret from its environment."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
NAMES = ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD")


def test_no_secret_is_in_what_a_study_leaves(
    processes: Any, tiny_study: Callable[..., list[str]], short_path: Path, tmp_path: Path
) -> None:
    held = {name: secrets.token_hex(20) for name in NAMES}
    processes.environment |= held | {"RAY_AUTH_MODE": "token", "RAY_TMPDIR": str(short_path)}
    out = tmp_path / "study"
    command = [sys.executable, "-m", "anon_tune", "study", "search_spaces/quickstart.toml"]
    ended = processes.run("driver", [*command, *tiny_study(out, 1, 4)])
    assert ended == 0, processes.said("driver")[-4000:]
    assert [t.state for t in Ledger(out / "ledger").trials()] == [TrialState.COMPLETE] * 3

    left = [file for folder in (out, tmp_path, short_path) for file in folder.rglob("*") if file.is_file()]
    kinds = {file.suffix for file in left}
    assert {".toml", ".parquet", ".html", ".safetensors", ".journal", ".log"} <= kinds
    assert any("raylet" in file.name for file in left)  # the logs of Ray are among them
    assert list((out / "tensorboard").glob("*/events.out.tfevents.*"))
    for file in left:
        content = file.read_bytes()
        assert not [name for name, value in held.items() if value.encode() in content], file
