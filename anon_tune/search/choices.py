"""What a study has chosen by itself, and why: its sampler, which rungs stop trials, and how often it is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anon_tune.methods import is_trained
from anon_tune.pareto import FEWEST_REPEATS, repeats_needed
from anon_tune.search.parameters import Choices, Rungs, Sampler
from anon_tune.search.rung_trust import FEWEST_PAIRS, TRUSTED, RungTrust, Standing
from anon_tune.search.space import SearchSpace
from anon_tune.search.trained import has_trained_method
from anon_tune.trial import Trial

_MOST_MODEL_TRIALS = 250  # a Gaussian process needs 0.5 s for a proposal at 100 trials and 4.6 s at 500
_SAMPLERS = {"gp": "a Gaussian process in turns with TPE", "tpe": "TPE", "nsga2": "NSGA-II"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a study.

    Attributes:
        of: What was chosen, such as ``sampler``, ``rung 0`` or ``repeats``.
        chosen: The choice.
        why: The reason for it.
    """

    of: str
    chosen: str
    why: str

    def __str__(self) -> str:
        return f"{self.of}: {self.chosen}, because {self.why}"


def choose_sampler(kind: Sampler, space: SearchSpace, num_trials: int) -> Sampler:
    """Return the sampler that ``auto`` stands for in a study; any other name is returned as it is.

    It is NSGA-II for more than 250 trials, the Gaussian process if nothing but ranges without conditions is searched,
    and TPE otherwise.
    """
    return _sampler(space, num_trials)[0] if kind == "auto" else kind


def search_choices(
    space: SearchSpace, kind: Sampler, num_trials: int, rungs: bool, trials: Sequence[Trial]
) -> list[Choice]:
    """Return what a study has chosen so far.

    Args:
        space: The search space.
        kind: The sampler that was asked for; only ``auto`` leaves a choice.
        num_trials: How many trials the study will have.
        rungs: False if the study stops no trial early.
        trials: The trials so far.
    """
    found = []
    if kind == "auto":
        sampler, why = _sampler(space, num_trials)
        found.append(Choice("sampler", _SAMPLERS[sampler], why))
    if rungs and space.study.rungs and not space.study.rungs.promote:
        found += _of_rungs(trials)
    return found + _of_repeats(trials)


def why_rungs_cannot_decide(space: SearchSpace, num_trials: int, rungs: bool) -> str:
    """Return why the rungs of a study can never stop a trial, in a sentence; empty if they can, or if it has none."""
    table: Rungs | bool = space.study.rungs
    if not rungs or isinstance(table, bool):
        return ""
    recipes = [recipe for recipe in space.probes() if is_trained(recipe.method)]
    if not recipes:
        return "rungs stop no trial of this study, because none of its methods is trained."
    if max(len(space.levels(recipe)) for recipe in recipes) < 2:
        return (
            f"rungs stop no trial of this study, because trials end before the first rung at step {table.min_steps}. "
            "Lower 'rungs.min_steps', or give --no-rungs."
        )
    fewest = 2 * table.factor
    if num_trials < fewest:
        return (
            f"rungs stop no trial of this study, because they decide from {fewest} trials on, and it has {num_trials}. "
            "Give more --trials, or --no-rungs to save the measurements at rungs."
        )
    return ""


def _sampler(space: SearchSpace, num_trials: int) -> tuple[Sampler, str]:
    if num_trials > _MOST_MODEL_TRIALS:
        return "nsga2", f"a Gaussian process takes too long with more than {_MOST_MODEL_TRIALS} trials"
    if all(not isinstance(p, Choices) and not p.when for p in space.search.values()):
        return "gp", "nothing but ranges is searched, which is what a Gaussian process can learn from few trials"
    return "tpe", "choices or conditions are searched, which a Gaussian process does not take"


def _of_rungs(trials: Sequence[Trial]) -> list[Choice]:
    trust = RungTrust()
    for trial in sorted(trials, key=lambda trial: trial.ended):
        if has_trained_method(trial):
            trust.learn(trial)
    return [_of_rung(rung, trust) for rung in trust.rungs]


def _of_rung(rung: int, trust: RungTrust) -> Choice:
    count, correlation = trust.compared(rung)
    name = f"rung {rung}"
    if count < FEWEST_PAIRS:
        why = f"its scores are compared with full scores once {FEWEST_PAIRS} trials have both; {count} have them so far"
        return Choice(name, "stops trials", why)
    measured = f"over {count} trials, its scores and full scores have a rank correlation of {correlation:.2f}"
    measured += f" (the smaller one of leakage and accuracy; at least {TRUSTED} is required)"
    match trust.standing(rung):
        case Standing.DECIDES:
            return Choice(name, "stops trials", measured)
        case Standing.DOUBTED:
            return Choice(name, "stops no trial for now", measured)
        case Standing.LEFT_OUT:
            return Choice(name, "left out, new trials are not measured there", measured)


def _of_repeats(trials: Sequence[Trial]) -> list[Choice]:
    """Return how many repeats the repeated trials have, and how many their first repeats ask for."""
    needed = repeats_needed(trials)
    if needed is None:
        return []
    counts = {len(trial.repeats) for trial in trials if trial.repeats and not trial.is_anchor}
    chosen = " to ".join(map(str, sorted({min(counts), max(counts)}))) + " per trial"
    if counts != {needed.count}:
        chosen += f"; {needed.count} are worth their time"
    why = f"{needed.objective} differs by {needed.spread:.3f} (standard deviation) between the first {FEWEST_REPEATS} "
    why += f"repeats of a trial, and by {needed.clips:.3f} (half an interval) with the clips of the test split"
    return [Choice("repeats", chosen, why)]
