"""Test problems with a known truth, as trial bodies that cost nothing but virtual seconds.

Shapes: d searched numbers, all in [0, 1]; two losses, both minimized: leakage is the first, accuracy minus the second.

What a rung sees of ZDT1, ZDT3, DTLZ2 and WFG4 (d = 6) is the truth, a bias that shrinks with training and differs from
point to point, and noise that shrinks too. Extents r are from the ideal point to the reference point, s is the trained
fraction::

    seen = f(x) + r b(s) (1 + sin(2 pi w.x + phi) / 2) + r n(s) N(0, 1)
    b(s) = 0.3 (s^-1/2 - 1) / 2        0.30, 0.11, 0 at s = 1/9, 1/3, 1
    n(s) = 0.02 s^-1/2                 0.060, 0.035, 0.020

w and phi are drawn once a problem and loss. The nondominated layers of 300 random points, numbered, have with the true
ones a rank correlation of 0.44 (WFG4) to 0.81 (ZDT3) at s = 1/9, and of 0.76 to 0.92 at s = 1/3. BoTorch's
MOMFBraninCurrin and MOMFPark bring their own fidelity s; noise is added likewise (0.92 and 0.97 at s = 1/9). A job
takes virtual seconds ``(0.7 + 0.6 u(x)) steps + m`` with m = 15 for a rung score and 45 for a full one, u(x) the mean
of the searched numbers. A trial without rungs takes about 225 s.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.search.space import SearchSpace
from anon_tune.trial import ANCHORS, Reading, RungJob, RungReport, Score, TrialBody

Losses = tuple[float, float]
Floats = NDArray[np.float64]

# Names of a recipe that take any number in [0, 1]; what they mean is of no matter here.
NAMES = ("privacy.weight", "penalty.weight", "utility.weight", "penalty.threshold", "anonymizer.lr", "utility.lr")
STEPS, MIN_STEPS, FACTOR = 180, 20, 3
NOISE, BIAS = 0.02, 0.3
RUNG_MEASURING_S, FULL_MEASURING_S = 15.0, 45.0


class Problem(Protocol):
    """What a strategy is compared on.

    Attributes:
        name: Short.
        space: What is searched, with its rungs.
        reference: Of the hypervolume, in losses.
        best_hypervolume: Of the true front, or the best known.
        trial_s: Virtual seconds of one trial without rungs, about.
        ranges: Smallest and largest value of each loss that matter, for those who scalarize: more than they would know.
    """

    name: str
    space: SearchSpace
    reference: Losses
    best_hypervolume: float
    trial_s: float
    ranges: tuple[Losses, Losses]

    def body(self, seed: int) -> TrialBody:
        """Return a body whose noise follows a seed."""
        ...

    def truth(self, params: Mapping[str, Any]) -> Losses:
        """Return the losses without noise, fully trained."""
        ...


def value_of(recipe: Recipe, name: str) -> float:
    """Return one number of a recipe by its dotted name; of a schedule its start."""
    found: Any = recipe
    for part in name.split("."):
        found = getattr(found, part)
    return float(found.start if isinstance(found, Schedule) else found)


def stable_seed(*parts: object) -> int:
    """Return a seed that is the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


@dataclass
class AnalyticProblem:
    """A function of [0, 1]^d with two losses; see the module.

    Attributes:
        name: Of the problem.
        num_params: d.
        function: (d,) and the trained fraction to two losses; the fraction matters to those with their own fidelity.
        ideal: Least values of the two losses on the front.
        reference: Of the hypervolume.
        best_hypervolume: Of the true front.
        own_fidelity: The function itself knows what half-trained means.
    """

    name: str
    num_params: int
    function: Callable[[Floats, float], Losses]
    ideal: Losses
    reference: Losses
    best_hypervolume: float
    own_fidelity: bool = False
    trial_s: float = STEPS + FULL_MEASURING_S
    space: SearchSpace = field(init=False)

    def __post_init__(self) -> None:
        """Make the space, and draw the bias of the rungs."""
        tables = {
            "fixed": {"training.num_steps": STEPS},
            "search": {name: {"low": 0.0, "high": 1.0} for name in NAMES[: self.num_params]},
            "study": {"rungs": {"min_steps": MIN_STEPS, "factor": FACTOR}},
        }
        self.space = SearchSpace.from_tables(tables, self.name)
        rng = np.random.default_rng(stable_seed("bias", self.name))
        directions = rng.standard_normal((2, self.num_params))
        self._waves = 0.7 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self._phases = rng.uniform(0, 2 * math.pi, 2)

    @property
    def ranges(self) -> tuple[Losses, Losses]:
        """From the ideal to the reference."""
        return (self.ideal[0], self.reference[0]), (self.ideal[1], self.reference[1])

    def body(self, seed: int) -> TrialBody:
        """Return a body whose noise follows a seed."""
        return AnalyticBody(self, seed)

    def truth(self, params: Mapping[str, Any]) -> Losses:
        """Return the losses without noise, fully trained."""
        return self.function(self.unit(params), 1.0)

    def unit(self, params: Mapping[str, Any]) -> Floats:
        """Return the point (d,) in the unit cube."""
        return np.array([float(params[name]) for name in self.space.search])

    def seen(self, x: Floats, fraction: float, rng: np.random.Generator) -> Losses:
        """Return what a measurement after a fraction of the training shows."""
        extents = np.subtract(self.reference, self.ideal)
        shown = np.array(self.function(x, fraction))
        if not self.own_fidelity:
            bias = BIAS * (fraction**-0.5 - 1) / 2
            shown = shown + extents * bias * (1 + np.sin(2 * math.pi * self._waves @ x + self._phases) / 2)
        shown = shown + extents * NOISE * fraction**-0.5 * rng.standard_normal(2)
        return float(shown[0]), float(shown[1])


class AnalyticBody:
    """Does rung jobs of an analytic problem.

    Args:
        problem: Which.
        seed: Of the noise; the same point is measured alike by whoever asks.
    """

    def __init__(self, problem: AnalyticProblem, seed: int) -> None:
        self._problem, self._seed = problem, seed
        self._reached: dict[str, int] = {}  # steps trained, by trial

    def advance(self, job: RungJob) -> RungReport:
        """Measure; anchors take no time and stand at the corners of what is interesting."""
        problem = self._problem
        if job.recipe.method in ANCHORS:
            (low, high), (best, worst) = problem.ranges
            corner = (high, best) if job.recipe.method == ANCHORS[0] else (low, worst)
            return report(job, score(job, corner, corner, 0.0), 0.0)
        x = np.array([value_of(job.recipe, name) for name in problem.space.search])
        rng = np.random.default_rng(stable_seed(self._seed, problem.name, x.tolist(), job.step, job.full))
        losses = problem.seen(x, job.step / STEPS, rng)
        measuring = FULL_MEASURING_S if job.full else RUNG_MEASURING_S
        steps = job.step - self._reached.get(job.trial_id, 0)
        self._reached[job.trial_id] = job.step
        return report(job, score(job, losses, losses, measuring), (0.7 + 0.6 * float(x.mean())) * steps + measuring)


def score(job: RungJob, losses: Losses, validation: Losses, seconds: float) -> Score:
    """Return a score with these losses on the test and on the validation split."""
    leakage, accuracy = losses[0], -losses[1]
    readings = [
        Reading(value, floor=0.0, ceiling=1.0, low=value, high=value, validation=selected)
        for value, selected in ((leakage, validation[0]), (accuracy, -validation[1]))
    ]
    return Score(job.full, readings[0], readings[1], {}, {}, 0.0, 1, 1, 0, seconds)


def report(job: RungJob, measured: Score, seconds: float) -> RungReport:
    """Return the report of a job."""
    return RungReport(job.trial_id, job.rung, job.step, measured, (), seconds, "virtual", "")
