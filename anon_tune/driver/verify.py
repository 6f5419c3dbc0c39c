"""Measures the best trials of a study again with new seeds, so that its front can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryDirectory

from anon_tune.driver.node_check import check_nodes
from anon_tune.driver.placement import Slots
from anon_tune.driver.run import StudyInterrupted, stop_signals
from anon_tune.driver.session import living_resources, ray_session
from anon_tune.driver.tune_executor import TuneExecutor
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.study.frozen_study import check_measure, load_study
from anon_tune.study.lock import driver_lock
from anon_tune.study.verification_plan import VerificationDesk, VerificationPlan, VerifyStep, in_order
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import TrialBody


def verify_study(
    directory: StudyLocation,
    body: TrialBody,
    num_seeds: int | None = None,
    retrain: bool = False,
    on_step: Callable[[VerifyStep], None] | None = None,
) -> Ledger:
    """Measure the anchors and the first two front ranks of a study again, until all trials on the front have repeats.

    In repeat k, all trials have the same seeds of attackers, classifier and bootstrap. Their ceilings are those of
    repeat k of the identity anchor, which is therefore measured first. Repeats in the ledger are not measured again. If
    the means bring a trial that was measured only once into the first two front ranks, it is measured again too.

    Args:
        directory: The study directory: a path that every node sees, or a URI that pyarrow can open.
        body: Does the jobs, as in the study.
        num_seeds: Number of repeats that every such trial should have, at least 1; None for three, and up to eight if
            these differ much, see `anon_tune.pareto.repeats_needed`.
        retrain: Train every repeat from scratch with a training seed of its own. From the first of these repeats on,
            repeats that were only measured no longer count. Closed-form methods are only measured.
        on_step: Called after every repeat.

    Returns:
        The ledger of the study.

    Raises:
        StudyError: There is nothing to verify, the study was measured with another version of the measure, another
            process writes the directory, weights are gone, repeats could not be measured, or existing repeats were
            retrained and ``retrain`` is False.
        UsageError: A node lacks a package that the search space needs.
        PlacementError: A trial needs more than the cluster has.
        StudyInterrupted: A signal stopped the verification; all repeats measured before are in the ledger.
    """
    study = StudyDirectory.at(directory)
    space, settings = load_study(study)
    check_measure(study)
    with driver_lock(study) as hold:
        plan = VerificationPlan(study, hold, space, settings.seed, num_seeds, retrain)
        if not plan.todo():
            return plan.ledger
        session = ray_session(dashboard=settings.runs_through_train)
        with session as is_private, stop_signals() as stopped, TemporaryDirectory(prefix="anon-tune-") as scratch:
            settings = settings.on_private_cluster() if is_private else settings
            check_nodes(space, retrain)
            # The limit on a job does not apply, because a repeat that is retrained does in one job what the study did
            # in several.
            settings = settings.model_copy(update={"job_limit_s": None})
            executor = TuneExecutor.of(settings, body, study, Slots(settings, living_resources))
            executor.run(VerificationDesk(plan, on_step), StudyDirectory.at(scratch), stopped, hold.lost)
        hold.check()
    if stopped.is_set():
        raise StudyInterrupted(f"{study}: stopped. Go on with the same command")
    if plan.failures:
        trial_id, number = min(plan.failures, key=in_order)
        rule = f"{len(plan.failures)} repeats could not be taken, the first is repeat {number} of trial '{trial_id}'"
        remedy = "Fix the cause, then verify again"
        raise StudyError(str(study), rule, remedy=remedy, cause=plan.failures[trial_id, number])
    return plan.ledger
