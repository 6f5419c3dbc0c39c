"""Do a study and a certificate find the same leakage? Audits trials of studies and compares level and order.

The studies are run if they are not there, and certificates that are there are used, so a second call goes on where the
first was stopped. Of the trials that were trained and have a full score, the first in the order of their ids are
audited; anchors and closed-form methods are left out, as they inflate an order. One JSON object is printed.

    python benchmarks/agreement.py --seeds 1 --ixmas clips/ixmas --out runs/agreement
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import anon_tune
from anon_tune.certificate import read_certificate
from anon_tune.errors import AnonTuneError
from anon_tune.methods import is_trained
from anon_tune.trial import Trial, TrialState


def run(name: str, clips: str, num_trials: int, args: argparse.Namespace) -> anon_tune.Study:
    """Run the study on a set of clips, or open it, with enough complete trials."""
    directory = Path(args.out) / name
    if not (directory / "study.toml").exists():
        return anon_tune.run_study(args.space, clips=clips, out=directory, trials=num_trials, rungs=False)
    return anon_tune.open_study(directory)


def leakages(study: anon_tune.Study, trial: Trial, seeds: int) -> tuple[float, float]:
    """Return the normalized leakage of a trial by the study and by its certificate, which is made if it is missing."""
    file = Path(study.directory) / "audits" / f"{trial.id}.json"
    try:
        certificate = read_certificate(file)
    except AnonTuneError:
        certificate = anon_tune.audit(study=study.directory, trial=trial.id, seeds=seeds)
    assert trial.score is not None
    return trial.score.leakage.normalized, certificate.leakage_normalized


def agreement(study: anon_tune.Study, num_trials: int, seeds: int) -> dict[str, Any]:
    """Return how far study and certificates differ over the first trained trials."""
    trained = [
        t for t in study.trials if t.state is TrialState.COMPLETE and t.score is not None and is_trained(t.method)
    ]
    pairs = []
    for trial in sorted(trained, key=lambda t: t.id)[:num_trials]:
        pairs.append(leakages(study, trial, seeds))
        print(
            f"{study.directory} {trial.id}: study {pairs[-1][0]:.3f}, certificate {pairs[-1][1]:.3f}", file=sys.stderr
        )
    study_values, certificate_values = np.array(pairs).T
    differences = np.abs(study_values - certificate_values)
    return {
        "num_trials": len(pairs),
        "mean_abs_difference": float(differences.mean()),
        "max_abs_difference": float(differences.max()),
        "mean_difference": float((study_values - certificate_values).mean()),
        "spearman": float(spearmanr(study_values, certificate_values).statistic),
        "pairs": [[float(a), float(b)] for a, b in pairs],
    }


def main() -> None:
    """Compare on the generated clips and, where a store is given, on IXMAS."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="quickstart", help="search space of both studies")
    parser.add_argument("--ixmas", help="clip store of IXMAS; left out if not given")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of every attacker of a certificate")
    parser.add_argument("--num-avatars", type=int, default=12, help="trials on the generated clips")
    parser.add_argument("--num-ixmas", type=int, default=8, help="trials on IXMAS")
    parser.add_argument("--out", default="runs/agreement")
    args = parser.parse_args()
    sets = {"avatars": ("avatars", args.num_avatars)}
    if args.ixmas:
        sets["ixmas"] = (args.ixmas, args.num_ixmas)
    found = {n: agreement(run(n, clips, num, args), num, args.seeds) for n, (clips, num) in sets.items()}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
