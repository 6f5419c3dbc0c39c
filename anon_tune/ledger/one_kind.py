"""Keeps two kinds of repeats apart: those that were only measured, and those that were trained again first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anon_tune.trial import ANCHORS, Repeat, Trial


def of_one_kind(trials: Sequence[Trial]) -> list[Trial]:
    """Leave out the repeats that were only measured, if the study has any that were trained again.

    ``verify --retrain`` replaces repeats one by one and may be interrupted. The two kinds do not compare, so from the
    first retrained repeat on only retrained ones count. Repeats of closed-form methods stay: nothing is trained there.
    """
    anchor = next((trial for trial in trials if trial.id == ANCHORS[0] and trial.repeats), None)
    if anchor is None:
        return [*trials]
    # The anchor is never trained, so its repeats name the training seed that every trial had in the study.
    seed = anchor.repeats[0].training_seed
    retrained = [_retrained(trial, seed) for trial in trials]
    if not any(retrained):
        return [*trials]
    return [
        replace(trial, repeats=found) if trial.repeats and (found or _is_trained(trial)) else trial
        for trial, found in zip(trials, retrained, strict=True)
    ]


def _retrained(trial: Trial, seed: int) -> tuple[Repeat, ...]:
    own = trial.params.get("training.seed", seed)
    return tuple(repeat for repeat in trial.repeats if repeat.training_seed != own)


def _is_trained(trial: Trial) -> bool:
    return any(report.weights for report in trial.reports)
