"""How much better than the truth is a front of single measurements, and how much a verified one?

Analytic trials with a known trade-off, ``accuracy = 1 - (1 - leakage)^2`` at best and less by a random loss, are
measured with additive normal noise. Each seed is one study: the front of its single measurements, and the
front after `anon-tune verify` has measured candidates again until no single measurement is nondominated.
Both arms see the same trials and the same first measurements. Prints JSON: the hypervolume a front claims, less
the true hypervolume of the trials on it, per seed and on average.

    python benchmarks/verified_fronts.py --studies 40 --repeats 3 --noise 0.03
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from anon_tune.pareto import ParetoFront, front_candidates, hypervolume
from anon_tune.trial import Reading, Repeat, RungReport, Score, Trial, TrialState, losses

Point = tuple[float, float]
FLOOR, CEILING = 0.3, 0.95


class Study:
    """Trials whose true leakage and accuracy are known.

    Args:
        seed: Of trials and noise.
        num_trials: Anchors not counted.
        noise: Standard deviation of a measurement, of both readings alike.
    """

    def __init__(self, seed: int, num_trials: int, noise: float) -> None:
        self.noise, self._rng = noise, np.random.default_rng(seed)
        leakage = self._rng.uniform(FLOOR, CEILING, num_trials)
        accuracy = self.best(leakage) - self._rng.exponential(0.05, num_trials)
        self.truth = {f"{i:04d}": (float(x), float(y)) for i, (x, y) in enumerate(zip(leakage, accuracy, strict=True))}
        self.trials = [self._trial("identity", -1, CEILING, float(self.best(np.float64(CEILING))))]
        self.trials += [self._trial(name, int(name), *self.measured(name)) for name in self.truth]

    @staticmethod
    def best(leakage: np.ndarray | np.float64) -> np.ndarray | np.float64:
        """Return the accuracy of the true front, concave in leakage."""
        return 0.2 + 0.75 * (1 - ((CEILING - leakage) / (CEILING - FLOOR)) ** 2)

    def measured(self, name: str) -> Point:
        """Measure a trial once."""
        leakage, accuracy = self._rng.normal(self.truth[name], self.noise)
        return float(leakage), float(accuracy)

    def verify(self, num_repeats: int) -> list[Trial]:
        """Measure candidates again until all of them are repeated, as `anon_tune.driver.verify` does."""
        by_id = {trial.id: trial for trial in self.trials}
        while missing := [t for t in front_candidates(list(by_id.values())) if not t.is_anchor and not t.repeats]:
            for trial in missing:
                repeats = tuple(Repeat(k, 0, self._score(*self.measured(trial.id))) for k in range(1, num_repeats + 1))
                by_id[trial.id] = replace(trial, repeats=repeats)
        return list(by_id.values())

    def overstatement(self, trials: Sequence[Trial]) -> dict[str, float]:
        """Compare what the front of some trials claims with the truth about them and about all trials."""
        front = ParetoFront.of(trials)
        assert front.reference_point is not None
        reference = front.reference_point.losses
        members = [losses(*self.truth[t.id]) for t in front.members if t.id in self.truth]
        reported = hypervolume(members, reference)
        return {
            "hypervolume": front.hypervolume,
            "over_true_members": front.hypervolume - reported,
            "over_true_front": front.hypervolume - hypervolume([losses(*p) for p in self.truth.values()], reference),
            "num_members": len(members),
            "num_repeated": sum(bool(t.repeats) for t in trials),
        }

    def _trial(self, name: str, number: int, leakage: float, accuracy: float) -> Trial:
        report = RungReport(name, 0, 1, self._score(leakage, accuracy), (), 0.0, "", "")
        method = name if number < 0 else "adversarial"
        return Trial(name, number, method, {}, "", TrialState.COMPLETE, (report,))

    @staticmethod
    def _score(leakage: float, accuracy: float) -> Score:
        readings = [Reading(v, floor, CEILING, v, v, v) for v, floor in ((leakage, FLOOR), (accuracy, 0.2))]
        return Score(True, *readings, {}, {}, 0.0, 1, 1, 0, 0.0)


def compare(num_studies: int, num_trials: int, num_repeats: int, noise: float) -> dict[str, object]:
    """Run all studies; return both arms by seed and their means."""
    arms: dict[str, list[dict[str, float]]] = {"single": [], "verified": []}
    for seed in range(num_studies):
        study = Study(seed, num_trials, noise)
        arms["single"].append(study.overstatement(study.trials))
        arms["verified"].append(study.overstatement(study.verify(num_repeats)))
    names = list(arms["single"][0])
    means = {arm: {n: statistics.fmean(run[n] for run in runs) for n in names} for arm, runs in arms.items()}
    cut: dict[str, object] = {}
    for name in ("over_true_members", "over_true_front"):
        differences = [s[name] - v[name] for s, v in zip(arms["single"], arms["verified"], strict=True)]
        cut[name] = {
            "factor": means["single"][name] / means["verified"][name],
            "mean_difference": statistics.fmean(differences),
            "standard_error": statistics.stdev(differences) / math.sqrt(num_studies),
            "smaller_in": sum(d > 0 for d in differences),
        }
    return {"mean": means, "cut": cut, "runs": arms}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--noise", type=float, default=0.03)
    parser.add_argument("--runs", action="store_true", help="print every study, not only means")
    args = parser.parse_args()
    result = compare(args.studies, args.trials, args.repeats, args.noise)
    if not args.runs:
        del result["runs"]
    print(json.dumps({**vars(args), **result}, indent=2))


if __name__ == "__main__":
    main()
