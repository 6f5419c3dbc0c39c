"""Do a study and a certificate find the same leakage? Audits trials of studies and compares level and order.

The studies are run if they are not there, and certificates that are there are used, so a second call goes on where the
first was stopped. Of the trials that were trained and have a full score, the first in the order of their ids are
audited; anchors and closed-form methods are left out, as they inflate an order. One JSON object is printed.

    python benchmarks/agreement.py --seeds 1 --ixmas clips/ixmas --out runs/agreement
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

import anon_tune
from anon_tune.cli.certify import show_step
from anon_tune.clips import open_clips
from anon_tune.evaluation import measure, raw_networks
from anon_tune.export import load_trial
from anon_tune.methods import attackers_of, is_trained
from anon_tune.trial import Trial, TrialState


def run(name: str, clips: str, num_trials: int, args: argparse.Namespace) -> anon_tune.Study:
    """Run the study on a set of clips, or open it, with enough complete trials."""
    directory = Path(args.out) / name
    if not (directory / "study.toml").exists():
        return anon_tune.run_study(args.space, clips=clips, out=directory, trials=num_trials, rungs=False)
    return anon_tune.open_study(directory)


def leakage(trial: Trial) -> float:
    """Return the normalized leakage of a trial by the full score of its study."""
    assert trial.score is not None
    return trial.score.leakage.normalized


def rung_leakage(study: anon_tune.Study, trial: Trial) -> float:
    """Return what a rung would find on the weights of a trial; the full score ranks the same trials."""
    clips = open_clips(
        str(Path(study.directory) / "clips") if study.settings.clips == "avatars" else study.settings.clips
    )
    loaded = load_trial(study.directory, trial)
    baselines = str(Path(study.directory) / "baselines")
    raw = raw_networks(clips, loaded.recipe.evaluation, torch.device("cpu"), baselines)
    attackers = attackers_of(loaded.recipe)
    score = measure(
        loaded.anonymizer, clips, loaded.recipe.evaluation, False, None, torch.device("cpu"), *attackers, raw=raw
    )
    return score.leakage.value


def agreement(study: anon_tune.Study, num_trials: int, seeds: int) -> dict[str, Any]:
    """Return how far study and certificates differ over the first trained trials."""
    scored = [t for t in study.trials if t.state is TrialState.COMPLETE and t.score is not None]
    chosen = sorted((t for t in scored if is_trained(t.method)), key=lambda t: t.id)[:num_trials]
    certificates = study.certify([trial.id for trial in chosen], seeds, on_step=show_step)
    pairs = [(leakage(trial), certificates[trial.id].leakage_normalized) for trial in chosen]
    rungs = [rung_leakage(study, trial) for trial in chosen]
    study_values, certificate_values = np.array(pairs).T
    differences = np.abs(study_values - certificate_values)
    return {
        "num_trials": len(pairs),
        "mean_abs_difference": float(differences.mean()),
        "max_abs_difference": float(differences.max()),
        "mean_difference": float((study_values - certificate_values).mean()),
        "spearman": float(spearmanr(study_values, certificate_values).statistic),
        "rung_spearman": float(spearmanr(rungs, study_values).statistic),
        "pairs": {trial.id: [float(a), float(b)] for trial, (a, b) in zip(chosen, pairs, strict=True)},
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
    found = {n: agreement(run(n, clips, num, args), num, args.seeds) for n, (clips, num) in sets.items() if num}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
