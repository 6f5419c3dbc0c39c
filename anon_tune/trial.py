"""The records that pass from workers to the report: objectives, scores, reports, trials.

This module is also the interface between the search and the workers. A worker receives a `RungJob` and returns a
`RungReport`; a `TrialBody` does the work in between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self

from anon_tune.recipe import Recipe
from anon_tune.utility_task import ACTION, UtilityTask, told_by

ANCHORS = ("identity", "black-out")
"""Methods that are measured in every study: identity shows the ceiling of leakage, black-out its floor."""


class TrialState(StrEnum):
    """Where a trial stands; the last three are final."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """True for COMPLETE, PRUNED and FAILED."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured quantity with its floor, its ceiling and its interval.

    Attributes:
        value: The measurement, in [0, 1].
        floor: The value that a blind attacker or a blind classifier reaches.
        ceiling: The same measurement on raw clips.
        low: Lower end of the bootstrap interval over clips.
        high: Upper end of the interval.
        validation: The same quantity on the validation split. The search and the picks use this value, so nothing is
            selected by ``value`` on the test split.
    """

    value: float
    floor: float
    ceiling: float
    low: float
    high: float
    validation: float

    @property
    def normalized(self) -> float:
        """``(value - floor) / (ceiling - floor)``; NaN if raw clips are at the floor themselves."""
        span = self.ceiling - self.floor
        return (self.value - self.floor) / span if span > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Score:
    """One measurement of one anonymizer.

    Attributes:
        full: True for a full score on the test split; False for a rung score, which is cheaper and whose readings are
            all on the validation split.
        leakage: cMAP of the strongest attacker; lower is better.
        accuracy: What a fresh network reaches in the utility task, by the task's metric; higher is better.
        attackers: cMAP of every attacker, by family.
        attributes: Average precision of the strongest attacker, by private attribute.
        distortion: Mean RMS difference to the raw clips, in [0, 1].
        num_train_clips: Number of clips that the attackers were trained on.
        num_test_clips: Number of clips that the readings were taken on.
        seed: Seed of the attackers, the classifier and the bootstrap.
        seconds: Wall time of the measurement.
        seconds_per_frame: Seconds the anonymizer needs per frame; NaN if not measured.
        task: Name of the utility task; see `anon_tune.utility_task`.
        beside: Other readings of the task, by name; they are no objectives.
    """

    full: bool
    leakage: Reading
    accuracy: Reading
    attackers: Mapping[str, float]
    attributes: Mapping[str, float]
    distortion: float
    num_train_clips: int
    num_test_clips: int
    seed: int
    seconds: float
    seconds_per_frame: float = math.nan
    task: str = ACTION.name
    beside: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def is_finite(self) -> bool:
        """False if either objective is NaN or infinite; such a score is never on a front."""
        numbers = (r for o in (self.leakage, self.accuracy) for r in (o.value, o.validation))
        return all(math.isfinite(n) for n in numbers)


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective: its name and its direction."""

    name: str
    minimize: bool


OBJECTIVES = (Objective("leakage", minimize=True), Objective("accuracy", minimize=False))


def task_of(scores: Iterable[Score]) -> UtilityTask:
    """Return the utility task of a study's scores."""
    return told_by(score.task for score in scores)


def losses(leakage: float, accuracy: float) -> tuple[float, float]:
    """Turn objective values into losses, all to be minimized. The only place where this is done."""
    return leakage, -accuracy


@dataclass(frozen=True, slots=True)
class LossPoint:
    """The losses of one training step.

    Attributes:
        step: Counted from 0.
        terms: The unweighted loss terms by name, in the order of the game. The game of ``adversarial`` has ``utility``
            (L_T), ``privacy`` (L_B), ``penalty`` and ``distortion``.
    """

    step: int
    terms: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the identity anchor scored at one effort.

    Attributes:
        leakage, accuracy: The objectives.
        beside: The other readings of the task, by name.
    """

    leakage: float
    accuracy: float
    beside: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, score: Score) -> Self:
        """Take the ceilings from a score of the identity anchor."""
        beside = {name: reading.value for name, reading in score.beside.items()}
        return cls(score.leakage.value, score.accuracy.value, beside)


@dataclass(frozen=True, slots=True)
class RungJob:
    """What a worker is asked to do: bring one trial up to a rung and measure it there.

    Attributes:
        trial_id: Id of the trial, also the name of its directory.
        recipe: What to train and how to measure it.
        directory: Where checkpoints and previews go: a path that every node sees, or a URI that pyarrow opens.
        rung: Index of the rung, counted from 0.
        step: Train until this step.
        full: True to take a full score, as at the last rung; False to take a rung score.
        ceilings: Values on raw clips at the same effort; None for the identity anchor, which measures them.
        weights: Path or URI of a safetensors file whose anonymizer is measured instead of training one; empty to train.
    """

    trial_id: str
    recipe: Recipe
    directory: str
    rung: int
    step: int
    full: bool
    ceilings: Ceilings | None
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job, a trial or a study has used.

    Attributes:
        cpu_s: CPU-seconds: CPUs reserved times seconds.
        gpu_s: GPU-seconds: GPUs reserved times seconds.
        money: The share of the nodes' price, in the currency that the cluster file names; 0 without prices.
    """

    cpu_s: float = 0.0
    gpu_s: float = 0.0
    money: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Return the sum of both."""
        return Cost(self.cpu_s + other.cpu_s, self.gpu_s + other.gpu_s, self.money + other.money)


@dataclass(frozen=True, slots=True)
class RungReport:
    """What a worker sends back.

    Attributes:
        trial_id: Id of the trial.
        rung: Index of the rung.
        step: Steps trained so far.
        score: The measurement taken there.
        curve: Losses since the previous rung, thinned to at most 100 points.
        seconds: Wall time of the whole job.
        node: Host name or address of the worker.
        weights: Path of the anonymizer's weights below the study directory; empty if nothing was trained.
        cost: Cost of the whole job; filled in by the driver, which knows resources and prices.
        violation: By how much the study's constraints are broken, 0 if all are kept; filled in by the driver.
        ended: Unix time of its record; filled in by the driver.
    """

    trial_id: str
    rung: int
    step: int
    score: Score
    curve: Sequence[LossPoint]
    seconds: float
    node: str
    weights: str
    cost: Cost = Cost()
    violation: float = 0.0
    ended: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class LostJob:
    """A job that ended without a report: its worker or node was lost, it hung or raised, or its driver was stopped.

    Less work may be lost than its seconds say, because a trainer saves a checkpoint every minute.

    Attributes:
        seconds: Wall time that the job ran.
        node: Host name of its worker; empty if the worker was lost before it reported its node.
        cost: Cost of the job.
        ended: Unix time of its record.
    """

    seconds: float
    node: str
    cost: Cost = Cost()
    ended: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Repeat:
    """One more full measurement of a trial, after the study, with seeds of its own.

    Attributes:
        number: Counted from 1.
        training_seed: Seed of the training that was measured; the trial's own seed if it was not trained again.
        score: The measurement.
    """

    number: int
    training_seed: int
    score: Score


class TrialBody(Protocol):
    """Does the work of a trial in a worker process. It must survive pickling."""

    def advance(self, job: RungJob) -> RungReport:
        """Bring the trial up to the job's rung, from its last checkpoint if there is one.

        Raises:
            AnonTuneError: The trial is FAILED with this reason; it is not retried.
        """
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as the ledger knows it.

    Attributes:
        id: Name, unique in the study: an anchor's method, or the number in four digits.
        number: Order of proposal, from 0; anchors have -1.
        method: Method of the recipe.
        params: The sampled subset of the recipe, by flat dotted name.
        fingerprint: Fingerprint of the recipe.
        state: Where the trial stands.
        reports: One report per rung that it reached, first to last.
        reason: Why it was PRUNED or FAILED; otherwise empty.
        seconds: Wall time of all its jobs that reported.
        started: Unix time of its first record.
        ended: Unix time of its last record.
        repeats: Measurements with new seeds, in the order of their numbers.
        lost: Jobs that never reported, in order.
    """

    id: str
    number: int
    method: str
    params: Mapping[str, float | int | str | bool]
    fingerprint: str
    state: TrialState
    reports: tuple[RungReport, ...] = ()
    reason: str = ""
    seconds: float = 0.0
    started: float = 0.0
    ended: float = field(default=0.0)
    repeats: tuple[Repeat, ...] = ()
    lost: tuple[LostJob, ...] = ()

    @property
    def rung(self) -> int | None:
        """Index of the last rung that it was measured at; None before the first."""
        return self.reports[-1].rung if self.reports else None

    @property
    def score(self) -> Score | None:
        """The full score; None if it has none."""
        return next((r.score for r in self.reports if r.score.full), None)

    @property
    def cost(self) -> Cost:
        """Cost of its jobs, including lost jobs; measurements after the study are not counted."""
        return sum((j.cost for j in self.lost), sum((r.cost for r in self.reports), Cost()))

    @property
    def lost_s(self) -> float:
        """Wall time of its jobs that never reported."""
        return sum(job.seconds for job in self.lost)

    @property
    def is_feasible(self) -> bool:
        """True unless its last report breaks a constraint of the study."""
        return not self.reports or self.reports[-1].violation == 0

    @property
    def is_paused(self) -> bool:
        """True if it waits at a rung that it has reached."""
        return self.state is TrialState.WAITING and bool(self.reports)

    @property
    def is_anchor(self) -> bool:
        """True for identity and black-out."""
        return self.method in ANCHORS
