"""Measures how much each searched parameter moved each objective."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, create_trial

from anon_tune.search.sampler import distributions
from anon_tune.search.score_losses import score_losses
from anon_tune.search.space import SearchSpace
from anon_tune.trial import OBJECTIVES, Trial, TrialState

_FEWEST_TRIALS = 8
_TOP = 0.25  # PED-ANOVA compares the best quarter with all trials; the quarter must hold a few trials


def importance(trials: Sequence[Trial], space: SearchSpace) -> dict[str, dict[str, float]]:
    """Return, for each objective, how much each parameter contributes to what separates good trials from all trials.

    Args:
        trials: All trials of a ledger. Only COMPLETE trials count; anchors do not.
        space: The search space that they were sampled from.

    Returns:
        ``{objective: {param: share}}``, the largest share first. The shares of an objective add up to 1. A parameter
        that only some of the trials have is left out, and so is an objective with the same value in all trials. The
        result is empty if fewer than 8 trials count.

    Source:
        PED-ANOVA, Watanabe et al. 2023 (arXiv:2304.10255), as implemented in Optuna. Optuna's best tenth is widened
        to the best quarter, because our studies are small.
    """
    complete = [t for t in trials if t.state is TrialState.COMPLETE and not t.is_anchor and t.score]
    always = [name for name in space.search if all(name in t.params for t in complete)]
    if len(complete) < _FEWEST_TRIALS or not always:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize" for _ in OBJECTIVES])
    study.add_trials(_frozen(trial, space) for trial in complete)
    shares = {}
    for index, objective in enumerate(OBJECTIVES):
        values = {trial.values[index] for trial in study.get_trials(deepcopy=False)}
        if len(values) > 1:
            shares[objective.name] = _shares(study, index, always)
    return shares


def _shares(study: optuna.Study, index: int, names: list[str]) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # loads scikit-learn

    evaluator = PedAnovaImportanceEvaluator(target_quantile=_TOP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_param_importances(
            study, evaluator=evaluator, params=names, target=lambda trial: float(trial.values[index])
        )
    return {name: float(share) for name, share in found.items()}


def _frozen(trial: Trial, space: SearchSpace) -> FrozenTrial:
    assert trial.score is not None
    return create_trial(
        values=score_losses(trial.score),
        params=dict(trial.params),
        distributions=distributions(space, trial.params),
    )
