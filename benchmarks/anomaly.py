"""The task anomaly on the generated set: ROC AUC over frames and leakage of raw clips, black-out and three methods.

Prints JSON, one object a method. Example: python benchmarks/anomaly.py --out anomaly.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from anon_tune.clips import Clips, make_anomalies
from anon_tune.methods import is_trained, make_recipe
from anon_tune.trial import Ceilings, Reading, RungJob, Score
from anon_tune.worker.job import perform

METHODS = ("identity", "black-out", "pixelate:8", "frame-difference", "ted-spad")
EFFORT = {
    "utility.task": "anomaly",
    "evaluation.full.attackers": "frame,descriptors",
    "evaluation.full.attacker_steps": 120,
    "evaluation.full.classifier_steps": 150,
    "evaluation.num_bootstraps": 1000,
}
GAME = {"training.num_steps": 40, "training.warmup_steps": 5, "anonymizer.pretrain_steps": 20}


def measured(method: str, clips: Clips, ceilings: Ceilings | None, folder: Path) -> Score:
    """Train a method if it can be trained, and take its full score."""
    recipe = make_recipe({"method": method, **EFFORT, **(GAME if is_trained(method) else {})})
    job = RungJob(method.replace(":", "-"), recipe, str(folder), 0, recipe.training.num_steps, True, ceilings)
    report = perform(job, clips, torch.device("cpu"), baselines=str(folder / "baselines"))
    assert report is not None
    return report.score


def told(reading: Reading) -> dict[str, float]:
    """Return a reading for JSON."""
    return {"value": reading.value, "low": reading.low, "high": reading.high, "ceiling": reading.ceiling}


def main() -> None:
    """Measure all methods on one set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file that the JSON is written to after every method")
    parser.add_argument("--clips", type=int, default=120, help="training clips; a third for validation, two for test")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    ceilings: Ceilings | None = None
    with tempfile.TemporaryDirectory() as scratch:
        sizes = {"num_train": given.clips, "num_val": given.clips // 3, "num_test": 2 * given.clips // 3}
        clips = make_anomalies(Path(scratch) / "clips", **sizes)
        for method in METHODS:
            score = measured(method, clips, ceilings, Path(scratch) / "trials")
            ceilings = ceilings or Ceilings.of(score)
            beside = {name: told(reading) for name, reading in score.beside.items()}
            rows.append({"method": method, "roc_auc": told(score.accuracy), **beside, "leakage": told(score.leakage)})
            rows[-1] |= {"leakage_floor": score.leakage.floor, "seconds": score.seconds}
            print(json.dumps(rows[-1]), flush=True)
            if given.out:
                given.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
