"""The main use on real people: import IXMAS, run a study on it, read its front and its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
IXMAS = Path(os.environ.get("ANON_TUNE_IXMAS", ROOT / "../shared/data/ixmas"))
PATTERN = r"(?P<person>\D+)(?P<take>\d)_\d+_(?P<action>.+)_cam(?P<view>\d)"
SMALL = {
    "training.num_steps": 12,
    "anonymizer.pretrain_steps": 10,
    "evaluation.full.attackers": "frame,clip",
    "evaluation.full.attacker_steps": 60,
    "evaluation.full.classifier_steps": 60,
    "evaluation.num_bootstraps": 50,
}

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not IXMAS.is_dir(), reason="no IXMAS clips; ANON_TUNE_IXMAS may name their folder"),
]


def anon_tune(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "anon_tune", *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_study_of_real_people_splits_by_take_and_reads_identity_above_the_floor(tmp_path: Path) -> None:
    store, study = tmp_path / "ixmas", tmp_path / "study"
    labels = ["--action", "action", "--private", "person", "--group", "take", "--test-groups", "2"]
    size = ["--num-frames", "8", "--size", "32x24"]
    said = anon_tune("clips", "import", str(IXMAS), "--pattern", PATTERN, *labels, *size, "-o", str(store))
    assert "splits: train 102, val 18, test 120" in said

    small = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    space = str(ROOT / "search_spaces/quickstart.toml")
    said = anon_tune("study", space, "--clips", str(store), "--out", str(study), "--trials", "2", "--no-rungs", *small)
    assert Path(said.split("Report: ")[1].strip()).stat().st_size > 1_000_000

    manifest = pd.read_parquet(store / "manifest.parquet")
    assert set(manifest.loc[manifest["split"] == "test", "group"]) == {"2"}
    assert set(manifest.loc[manifest["split"] != "test", "group"]) == {"1"}

    front = json.loads(anon_tune("front", str(study), "--all", "--format", "json"))
    trials = {trial["trial"]: trial for trial in front["trials"]}
    assert set(trials) == {"identity", "black-out", "0000", "0001"}
    assert {trial["state"] for trial in trials.values()} == {"COMPLETE"}
    identity, black_out = trials["identity"], trials["black-out"]
    assert identity["leakage_interval"][0] > identity["leakage_floor"]
    assert identity["leakage_normalized"] == 1
    assert black_out["leakage"] == pytest.approx(black_out["leakage_floor"], abs=1e-9)
    low, high = black_out["accuracy_interval"]
    assert low <= black_out["accuracy_floor"] <= high
