"""Measures the best trials of a study again with new seeds, so that its front can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryDirectory

from anon_tune.driver.nodes_know import check_nodes
from anon_tune.driver.placement import Slots
from anon_tune.driver.run import StudyInterrupted, stop_signals
from anon_tune.driver.session import living_resources, ray_session
from anon_tune.driver.tune_executor import TuneExecutor
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.study.lock import driver_lock
from anon_tune.study.settings import load_study
from anon_tune.study.verification_plan import VerificationDesk, VerificationPlan, VerifyStep, in_order
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import TrialBody


def verify_study(
    directory: StudyLocation,
    body: TrialBody,
    num_seeds: int = 5,
    retrain: bool = False,
    on_step: Callable[[VerifyStep], None] | None = None,
) -> Ledger:
    """Measure the anchors and the first two front ranks of a study again, until the front has only such trials.

    Repeat k of every trial has the same seed of attackers, classifier and bootstrap, and the ceilings of the
    identity anchor's repeat k, which therefore comes first. What the ledger has is not done again. When
    means bring a trial into the first two ranks that was measured only once, it is measured as well.

    Args:
        directory: A study directory; a path that every node sees, or a URI that pyarrow opens.
        body: Does the work, as in the study.
        num_seeds: Repeats that every such trial shall have, at least 1.
        retrain: Train every repeat anew with a training seed of its own; closed-form methods are only
            measured. Takes the place of repeats that were not trained anew.
        on_step: Called after every repeat.

    Returns:
        The ledger.

    Raises:
        StudyError: There is nothing to verify, another process writes the directory, weights are gone, repeats could
            not be taken, or the repeats that are there were trained anew and ``retrain`` is false.
        UsageError: A node lacks a package that the search space needs.
        PlacementError: A trial needs more than the cluster has.
        StudyInterrupted: Stopped by a signal; what arrived is in the ledger.
    """
    study = StudyDirectory.at(directory)
    space, settings = load_study(study)
    with driver_lock(study) as hold:
        plan = VerificationPlan(study, hold, space, settings.seed, num_seeds, retrain)
        if not plan.todo():
            return plan.ledger
        session = ray_session(dashboard=settings.runs_through_train)
        with session as is_private, stop_signals() as stopped, TemporaryDirectory(prefix="anon-tune-") as scratch:
            settings = settings.on_private_cluster() if is_private else settings
            check_nodes(space, retrain)
            # A repeat that trains anew does in one job what the study did in several: the limit is not for it.
            settings = settings.model_copy(update={"job_limit_s": None})
            executor = TuneExecutor.of(settings, body, study, Slots(settings, living_resources))
            executor.run(VerificationDesk(plan, on_step), StudyDirectory.at(scratch), stopped, hold.lost)
        hold.check()
    if stopped.is_set():
        raise StudyInterrupted(f"{study}: stopped. Go on with the same command")
    if plan.failures:
        name, number = min(plan.failures, key=in_order)
        rule = f"{len(plan.failures)} repeats could not be taken, the first is repeat {number} of trial '{name}'"
        raise StudyError(str(study), rule, plan.failures[name, number], "Fix the cause, then verify again")
    return plan.ledger
