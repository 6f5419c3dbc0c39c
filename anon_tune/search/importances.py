"""Which parameter moved which objective."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from anon_tune.search.sampler import distributions, score_losses
from anon_tune.search.space import SearchSpace
from anon_tune.trial import OBJECTIVES, Trial, TrialState

_FEWEST_TRIALS = 8
_TOP = 0.25  # PED-ANOVA compares the best quarter with all; it needs a few trials in there


def importance(trials: Sequence[Trial], space: SearchSpace) -> dict[str, dict[str, float]]:
    """Return the share of each parameter in what separates good trials from all, by objective.

    Args:
        trials: Of a ledger; only COMPLETE ones count, and no anchors.
        space: They were sampled from.

    Returns:
        ``{objective: {param: share}}``, largest first; the shares of an objective add up to 1. A
        parameter that is not always sampled is left out. Empty with fewer than 8 trials, and an
        objective is left out where all trials have the same value.

    Source:
        PED-ANOVA, Watanabe et al. 2023 (arXiv:2304.10255), as in Optuna, with its best tenth
        widened to the best quarter for small studies.
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
