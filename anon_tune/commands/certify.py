"""Certify the front of a study: audit its trials in parallel over the cluster."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anon_tune.commands.results import read_trials
from anon_tune.commands.study_clips import clips_of_study
from anon_tune.driver.packages import bring_packages
from anon_tune.errors import AnonTuneError, StudyError, suggest
from anon_tune.folder import Location
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.evaluation import Audit
    from anon_tune.recipe import AuditRecipe
    from anon_tune.search import SearchSpace
    from anon_tune.study import StudySettings
    from anon_tune.trial import Trial


@dataclass(frozen=True, slots=True)
class CertifyStep:
    """What `certify` reports before and after each piece of its work.

    Attributes:
        trial_id: The trial that was audited; empty for the baseline on raw clips.
        certificate: Its certificate; None for the baseline, and if the audit failed.
        error: Why the audit failed; None if it did not.
        done: Number of trials that were audited.
        total: Number of trials to audit.
        left_s: Estimate of the seconds left; NaN before the first certificate.
    """

    trial_id: str
    certificate: Certificate | None
    error: AnonTuneError | None
    done: int
    total: int
    left_s: float


def certify(
    directory: Location,
    trials: Sequence[str] = (),
    seeds: int | None = None,
    set: Mapping[str, Any] | None = None,
    package: Sequence[str | Path] = (),
    on_step: Callable[[CertifyStep], None] | None = None,
    allow_external: bool = False,
) -> dict[str, Certificate]:
    """Audit trials of a study in parallel over the cluster; each certificate is in DIR/audits as soon as it is made.

    A trial that has a certificate of this effort already is not audited again, so the same command goes on where an
    earlier one was stopped. A task whose worker or node is lost is begun again.

    Args:
        directory: A study directory.
        trials: Ids of the trials; empty for all trials on the front, anchors left out.
        seeds: Number of seeds each attacker is trained with; None for that of `AuditRecipe`.
        set: Fields of `AuditRecipe` to values.
        package: Folders or wheels of Python packages to install for the driver and the workers.
        on_step: Called before the baseline is measured and after every audit.
        allow_external: Run the programs that methods ``external:COMMAND`` name.

    Returns:
        The certificates, by trial id.

    Raises:
        StudyError: There is no such trial, none is on the front, or an audit failed; the other audits were made.
        UsageError: A value in `set` that `AuditRecipe` does not allow.
        RecipeError: The clips lack what the task in `set` needs.
    """
    from anon_tune.attackers import check_attackers
    from anon_tune.attackers.by_size import audit_by_size
    from anon_tune.methods.external.permission import check_programs
    from anon_tune.recipe import AuditRecipe
    from anon_tune.study import load_study
    from anon_tune.training import check_task

    bring_packages(package)
    study = StudyDirectory.at(directory)
    effort = AuditRecipe.from_params({**(set or {}), **({} if seeds is None else {"num_seeds": seeds})}, "--set")
    check_attackers(effort.attackers, "--set")
    chosen = _chosen(study, trials)
    check_programs((trial.method for trial in chosen), allow_external)
    space, settings = load_study(study)
    utility = space.recipe({}, "identity").utility
    effort = effort.of_task(utility.task, utility.segments)
    clips = clips_of_study(settings, study.folder)
    check_task(effort.task, effort.segments, clips, "certify")
    effort = audit_by_size(effort, *clips.shape[1:3])
    job = _Job(study.folder.location, clips.location, settings, effort, allow_external)
    made, failed = _audit_all(job, chosen, space, on_step)
    if failed:
        first, error = next(iter(failed.items()))
        rule = f"{len(failed)} of {len(chosen)} trials could not be certified, the first is trial '{first}'"
        raise StudyError(str(study), rule, remedy="Fix the cause, then run the same command", cause=str(error))
    return made


def _chosen(study: StudyDirectory, ids: Sequence[str]) -> list[Trial]:
    """Return the trials to certify.

    Raises:
        StudyError: There is no such trial, or no trial is on the front.
    """
    from anon_tune.pareto import ParetoFront

    trials = read_trials(study)
    by_id = {trial.id: trial for trial in trials}
    if ids:
        for one in ids:
            if one not in by_id:
                raise StudyError(str(study), f"no trial '{one}'", remedy=suggest(one, by_id))
        return [by_id[one] for one in dict.fromkeys(ids)]
    front = ParetoFront.of(trials)
    chosen = [trial for trial in front.members if not trial.is_anchor]
    if not chosen:
        remedy = "Name trials with --trial" if front.empty is None else str(front.empty)
        raise StudyError(str(study), "no trial but the anchors is on the front", remedy=remedy)
    return chosen


@dataclass(frozen=True, slots=True)
class _Job:
    """What every task is told.

    Attributes:
        study: Location of the study directory.
        clips: Location of the clips.
        settings: The settings of the study; its tasks use what a worker of a trial uses.
        effort: How long attackers train.
        allow_external: Run the programs that methods name.
    """

    study: str
    clips: str
    settings: StudySettings
    effort: AuditRecipe
    allow_external: bool


def _audit_all(
    job: _Job, chosen: Sequence[Trial], space: SearchSpace, on_step: Callable[[CertifyStep], None] | None
) -> tuple[dict[str, Certificate], dict[str, AnonTuneError]]:
    from anon_tune.driver.session import ray_session
    from anon_tune.driver.tasks import TaskNeeds, as_finished
    from anon_tune.evaluation.certify import told_effort
    from anon_tune.recipe import AuditRecipe
    from anon_tune.study.certified import all_certificates_of, has_effort, is_whole

    asked, usual = told_effort(job.effort), told_effort(AuditRecipe())
    found = all_certificates_of(job.study, chosen)
    made = {
        trial.id: found[trial.id]
        for trial in chosen
        if trial.id in found
        and has_effort(found[trial.id], asked, usual)
        and is_whole(found[trial.id], space.recipe(trial.params, trial.method))
    }
    todo = [trial for trial in chosen if trial.id not in made]
    failed: dict[str, AnonTuneError] = {}
    if not todo:
        return made, failed
    step = CertifyStep("", None, None, len(made), len(chosen), math.nan)
    settings = job.settings
    with ray_session(dashboard=False) as is_private:
        settings = settings.on_private_cluster() if is_private else settings
        needs = TaskNeeds(settings.cpus_per_worker, settings.gpus_per_worker, settings.max_failures)
        if on_step:
            on_step(step)
        for _, nothing in as_finished(_prepare, [job], needs):
            if isinstance(nothing, AnonTuneError):
                raise nothing
        begun = time.monotonic()
        for at, (trial, outcome) in enumerate(as_finished(partial(_certify_trial, job), todo, needs), start=1):
            left = (time.monotonic() - begun) / at * (len(todo) - at)
            step = replace(step, trial_id=trial.id, certificate=None, error=None, done=step.done + 1, left_s=left)
            if isinstance(outcome, AnonTuneError):
                failed[trial.id] = outcome
                step = replace(step, error=outcome)
            else:
                made[trial.id] = outcome
                step = replace(step, certificate=outcome)
            if on_step:
                on_step(step)
    return made, failed


def _prepare(job: _Job) -> None:
    """Run in a task: measure the baseline, which the other tasks then find."""
    _audit(job).prepare()


def _certify_trial(job: _Job, trial: Trial) -> Certificate:
    """Run in a task: audit one trial, and write its certificate into the study."""
    from anon_tune.export import load_trial
    from anon_tune.methods import attackers_of
    from anon_tune.methods.external.permission import external_allowed

    with external_allowed(job.allow_external):
        loaded = load_trial(job.study, trial)
    audit = _audit(job)
    certificate = audit.of(loaded.anonymizer, loaded.subject, *attackers_of(loaded.recipe))
    certificate = audit.with_membership(certificate, loaded.recipe)
    StudyDirectory.at(job.study).certificate(trial.id).write(certificate.to_json().encode())
    return certificate


def _audit(job: _Job) -> Audit:
    import torch

    from anon_tune.clips import open_clips
    from anon_tune.evaluation import Audit
    from anon_tune.networks import pick_device

    torch.set_num_threads(max(1, int(job.settings.cpus_per_worker)))
    device = pick_device("auto" if job.settings.gpus_per_worker else "cpu")
    baselines = StudyDirectory.at(job.study).baselines
    return Audit(open_clips(job.clips), job.settings.clips, job.effort, baselines, device, lambda *_: None)
