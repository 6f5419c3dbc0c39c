"""Do rungs notice that they foretell nothing, and what does it cost if they do? On random points: only rungs count.

One worker trains random points one after the other until it has spent the cost of 40 trials without rungs. Rungs stop
trials never, always by the package's own rule, or by that rule until `RungTrust` leaves them out. With mute rungs, what
a rung shows is that of another random point. Prints JSON: the true hypervolume of the reported front, as a fraction of
the best, with its standard error, and how many trials were begun and finished.

    python benchmarks/rung_trust.py --problems zdt1 wfg4 dtlz2 park --seeds 24
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from named_problems import PROBLEMS, problem
from problems import FULL_MEASURING_S, RUNG_MEASURING_S, STEPS, AnalyticProblem, Floats, Losses

from anon_tune.pareto import front_ranks, hypervolume
from anon_tune.search.rung_trust import RungTrust, Standing
from anon_tune.search.rungs import Rung, rung_levels
from anon_tune.trial import Reading, RungReport, Score, Trial, TrialState

NUM_TRIALS = 40
POLICIES = ("never", "always", "trust")
Seen = Callable[[Floats, float, np.random.Generator], Losses]


def mute(found: AnalyticProblem) -> Seen:
    """Return a measurement that shows another point before the end of training."""

    def seen(x: Floats, fraction: float, rng: np.random.Generator) -> Losses:
        return found.seen(x if fraction == 1 else rng.random(len(x)), fraction, rng)

    return seen


def study(found: AnalyticProblem, seen: Seen, policy: str, seed: int) -> tuple[float, int, int]:
    """Return the hypervolume of one study as a fraction of the best, and its trials, begun and finished."""
    assert found.space.study.rungs is not False
    table, rng, trust = found.space.study.rungs, np.random.default_rng(seed), RungTrust()
    levels = rung_levels(table.min_steps, table.factor, STEPS)
    rungs = [Rung(table.factor) for _ in levels[:-1]]
    spent, begun, full = 0.0, 0, []
    while spent < NUM_TRIALS * found.trial_s:
        x, trial = rng.random(found.num_params), Trial(f"{begun:04d}", begun, "adversarial", {}, "", TrialState.RUNNING)
        begun += 1
        before = 0
        for index, step in enumerate(levels):
            last = index == len(levels) - 1
            losses = seen(x, step / STEPS, rng)  # drawn in any case, so that all policies see the same
            spent += (0.7 + 0.6 * float(x.mean())) * (step - before)
            before = step
            skipped = policy == "never" or (policy == "trust" and trust.standing(index) is Standing.LEFT_OUT)
            if skipped and not last:
                continue
            spent += FULL_MEASURING_S if last else RUNG_MEASURING_S
            trial = replace(trial, reports=(*trial.reports, report(trial, index, step, last, losses)))
            if last:
                trust.learn(replace(trial, state=TrialState.COMPLETE))
                full.append((losses, found.function(x, 1.0)))
                break
            rungs[index].add(trial.id, losses)
            decides = policy == "always" or trust.standing(index) is Standing.DECIDES
            if decides and not rungs[index].verdict(trial.id).keep:
                break
    front = [truth for (_, truth), rank in zip(full, front_ranks([seen for seen, _ in full]), strict=True) if rank == 0]
    return hypervolume(front, found.reference) / found.best_hypervolume, begun, len(full)


def report(trial: Trial, index: int, step: int, full: bool, losses: Losses) -> RungReport:
    """Return a report with these losses."""
    readings = [Reading(value, 0.0, 1.0, value, value, value) for value in (losses[0], -losses[1])]
    score = Score(full, readings[0], readings[1], {}, {}, 0.0, 1, 1, 0, 0.0)
    return RungReport(trial.id, index, step, score, (), 0.0, "virtual", "")


def main() -> None:
    """Compare the policies and print the means."""
    analytic = [name for name in PROBLEMS if not name.startswith("table")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=analytic, default=analytic)
    parser.add_argument("--seeds", type=int, default=24)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    result: dict[str, Any] = {}
    for name in args.problems:
        found = problem(name)
        assert isinstance(found, AnalyticProblem)
        for kind, seen in (("", found.seen), (", mute rungs", mute(found))):
            for policy in POLICIES:
                runs = np.array([study(found, seen, policy, seed) for seed in range(args.seeds)])
                error = float(runs[:, 0].std(ddof=1) / len(runs) ** 0.5)
                value, begun, finished = runs.mean(axis=0).tolist()
                row = {"hypervolume": value, "standard_error": error, "begun": begun, "finished": finished}
                result.setdefault(f"{name}{kind}", {})[policy] = row
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
