"""What a study learns from an earlier study before its first trial."""

from __future__ import annotations

import json

from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.recipe import MEASURE_VERSION, is_measured_by
from anon_tune.search.proposer import Observation
from anon_tune.search.score_losses import score_losses, surest_score
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import frozen_facts, load_study
from anon_tune.study.privacy import is_private
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import Trial, TrialState


def known_before(directory: StudyLocation, space: SearchSpace, settings: StudySettings) -> dict[str, Observation]:
    """Return the observations that the sampler has before the first trial; empty without a warm start.

    They are the complete trials of the earlier study whose points this study's space could have proposed. They are
    written once to the study directory, so that a resumed study does not depend on the earlier one. The earlier trials
    were measured in the same way. If other fixed values of the recipe differ, they are only a first guess.

    Args:
        directory: The directory of this study, as a path or a URI.
        space: The search space of this study.
        settings: The settings of this study, which name the directory of the earlier study.

    Raises:
        StudyError: The earlier study used other clips or measured with another effort, its trials were trained
            privately, or none of them is in the search space.
    """
    if settings.warm_start is None:
        return {}
    known = StudyDirectory.at(directory).warm_start
    if not known.exists():
        rows = [[t.id, dict(t.params), *_losses(t), _constraints(t, space)] for t in _fitting(space, settings)]
        known.write(json.dumps(rows).encode())
    rows = json.loads(known.read())
    # The names and the negative numbers differ from those of all trials of this study.
    return {
        f"before-{name}": Observation(at - len(rows), params, None, (a, b), held)
        for at, (name, params, a, b, held) in enumerate(rows)
    }


def _fitting(space: SearchSpace, settings: StudySettings) -> list[Trial]:
    earlier = StudyDirectory.at(str(settings.warm_start))
    other, was = load_study(earlier)
    measured_with = frozen_facts(earlier).measure_version
    where = f"--warm-start {earlier}"
    if is_private(other):
        rule = "must not be a private study: what it may release is accounted for, and other uses of its scores are not"
        raise StudyError(where, rule, remedy="Leave it out")
    if was.clips_fingerprint != settings.clips_fingerprint:
        raise StudyError(where, "must be a study on the same clips", was.clips, "Leave it out, or use these clips")
    if measured_with != str(MEASURE_VERSION):
        rule = f"must be measured with version {MEASURE_VERSION} of the measure, so that scores can be compared"
        raise StudyError(where, rule, measured_with, "Leave it out")
    efforts = [{n: v for n, v in s.fixed.items() if is_measured_by(n)} for s in (other, space)]
    if efforts[0] != efforts[1]:
        raise StudyError(
            where, "must have measured with the same effort", efforts[0], "Fix the same 'evaluation.' values"
        )
    complete = [t for t in Ledger(earlier.ledger).trials() if t.state is TrialState.COMPLETE and not t.is_anchor]
    fitting = [t for t in complete if t.score is not None and t.score.is_finite and _fits(t, space)]
    if not fitting:
        rule = f"none of its {len(complete)} complete trials lies in {space.where}"
        raise StudyError(where, rule, remedy="Search the same names in ranges that hold them, or leave it out")
    return fitting


def _fits(trial: Trial, space: SearchSpace) -> bool:
    """True for a point that this space could have proposed."""
    active = {name for name in space.search if space.is_active(name, trial.params)}
    return trial.params.keys() == active and all(space.search[n].accepts(v) for n, v in trial.params.items())


def _losses(trial: Trial) -> tuple[float, float]:
    return score_losses(surest_score(trial))


def _constraints(trial: Trial, space: SearchSpace) -> dict[str, float]:
    return space.study.constraints.values(surest_score(trial))
