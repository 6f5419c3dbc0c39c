"""The plan of a study: what it will cost, from timing a few steps of its cheapest and its dearest recipe."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anon_tune.commands.plan_costs import Params, StepCosts, TrialSeconds, timed_seconds
from anon_tune.commands.plan_places import Places, find_places, what_does_not_fit
from anon_tune.commands.study import StudyOptions, planned
from anon_tune.commands.study_clips import check_recipes, find_clips, find_stills
from anon_tune.driver.packages import bring_packages
from anon_tune.errors import RecipeError, UsageError
from anon_tune.folder import Folder
from anon_tune.search.fates import fates

if TYPE_CHECKING:
    from anon_tune.recipe import Recipe
    from anon_tune.search import SearchSpace
    from anon_tune.study import StudySettings
    from anon_tune.worker.timing import Bench, RecipeTimes

Progress = Callable[[str], None]
_ANCHORS = 2  # raw clips and black frames are measured in every study


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The options of ``anon-tune plan``; those that a study has too have the same meaning.

    Attributes:
        space: Search space: a file, or the name of one that we ship.
        clips: ``avatars`` or ``avatars-anomaly`` for built-in clips, or a clip store.
        stills: A second clip store for the privacy branches.
        trials: Number of trials; None for the search space's number.
        set: Fixed recipe values by name.
        seed: Seed of the sampler.
        sampler: Name of the sampler; None for the search space's.
        workers: Number of workers of a trial.
        cpus: CPUs per worker.
        gpus: GPUs per worker.
        max_concurrent: Most trials at a time.
        cluster: Cluster file with the nodes and their prices; None for this machine.
        package: Folders or wheels of Python packages with methods of your own.
    """

    space: str | Path
    clips: str | Path
    stills: str | Path | None = None
    trials: int | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sampler: str | None = None
    workers: int = 1
    cpus: int = 1
    gpus: float = 0.0
    max_concurrent: int | None = None
    cluster: Path | None = None
    package: Sequence[str | Path] = ()


@dataclass(frozen=True, slots=True)
class RecipePlan:
    """What one trial takes that gets to its last rung.

    Attributes:
        role: ``cheapest`` or ``dearest``.
        method: Its method.
        params: What is sampled.
        num_steps: Steps of its training.
        times: Times of its parts.
        seconds: Seconds of the trial.
    """

    role: str
    method: str
    params: Params
    num_steps: int
    times: RecipeTimes
    seconds: TrialSeconds


@dataclass(frozen=True, slots=True)
class StudyCost:
    """What a whole study takes, anchors and networks on raw clips included.

    Attributes:
        num_full: Number of trials that get to their last rung.
        seconds: Seconds of all trials together.
        cpu_hours: CPU-hours of all trials.
        gpu_hours: GPU-hours of all trials.
        wall_hours: Hours from the beginning to the end.
        money: Price of the trials, as a study counts it; None without prices.
        nodes_money: Price of all nodes of the cluster file for the whole time; None without prices.
    """

    num_full: int
    seconds: TrialSeconds
    cpu_hours: float
    gpu_hours: float
    wall_hours: float
    money: float | None
    nodes_money: float | None


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The forecast of a study.

    Attributes:
        space: The search space, as the user named it.
        clips: The clip store, as the user named it.
        num_trials: Number of trials, anchors not counted.
        device: Device that recipes were timed on.
        places: Where trials run.
        recipes: The cheapest and the dearest recipe.
        trial: Mean seconds of a trial that gets to its last rung.
        rungs: The study with rungs; None if the search space has none.
        no_rungs: The study without rungs.
        does_not_fit: What does not fit, one sentence each.
        notes: What to know about the numbers, one sentence each.
    """

    space: str
    clips: str
    num_trials: int
    device: str
    places: Places
    recipes: tuple[RecipePlan, ...]
    trial: TrialSeconds
    rungs: StudyCost | None
    no_rungs: StudyCost
    does_not_fit: tuple[str, ...]
    notes: tuple[str, ...]


def plan_study(options: PlanOptions, progress: Progress = lambda _: None) -> StudyPlan:
    """Time the cheapest and the dearest recipe of a search space here, and forecast what its study takes.

    Args:
        options: The options.
        progress: Called with what is timed now, in words.

    Raises:
        AnonTuneError: An option cannot be used.
    """
    from anon_tune.search.by_clips import for_clips
    from anon_tune.worker.timing import Bench

    bring_packages(options.package)
    shared = ("space", "clips", "stills", "trials", "set", "seed", "sampler", "workers", "cpus", "gpus")
    given = {name: getattr(options, name) for name in (*shared, "max_concurrent")}
    space, settings = planned(StudyOptions(**given, out="plan"))
    places = find_places(settings, options.cluster)
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        clips = find_clips(settings.clips, Folder.at(scratch))
        stills = find_stills(settings.stills, clips) if settings.stills else None
        space = for_clips(space, len(clips.split("train")), *clips.shape[1:3])
        check_recipes(space, clips, stills)
        bench = Bench(
            clips.location,
            settings.stills,
            max(1, int(settings.cpus_per_worker)),
            _device(settings.gpus_per_worker),
            settings.workers_per_trial,
        )
        return _plan(options, space, settings, places, bench, progress)


def _plan(
    options: PlanOptions, space: SearchSpace, settings: StudySettings, places: Places, bench: Bench, progress: Progress
) -> StudyPlan:
    from anon_tune.commands.plan_timer import Timer

    points = _points(space, settings)
    recipes = [space.recipe(point) for point in points]
    with Timer(bench, progress) as timer:
        costs = StepCosts(space)
        for params in costs.to_time():
            costs.learn(params, timer.time(space.recipe(params), measure=False, what=_words(params)))
        ends = _ends(space, settings, costs, [*points, *space.probe_params()])
        timed = [
            _timed(timer, space, settings, role, params)
            for role, params in zip(("cheapest", "dearest"), ends, strict=True)
        ]
    costs.correct((one.params, one.times) for one in timed)
    if not any(one.times.measuring for one in timed):
        where = f"plan: the {timed[0].role} recipe"
        raise UsageError(where, timed[0].times.refused, remedy="Lower training.batch_clips, or use a larger machine")

    def cost(rungs: bool) -> tuple[StudyCost, list[TrialSeconds]]:
        levels = [space.levels(recipe, rungs=rungs) for recipe in recipes]
        ended = fates(space, recipes, settings.seed, rungs)
        spent = [costs.seconds(*one) for one in zip(points, recipes, levels, ended, strict=True)]
        num_full = sum(fate[-1] == len(level) - 1 for fate, level in zip(ended, levels, strict=True))
        cheap = costs.measuring(timed[0].params)  # anchors cost nothing to compute
        has_rungs = any(len(level) > 1 for level in levels)
        anchor = TrialSeconds(0.0, cheap.full_s + (cheap.rung_s if has_rungs else 0.0))
        return _study_cost(num_full, [anchor] * _ANCHORS + spent, cheap.raw_s, settings, places), spent

    no_rungs, spent = cost(False)
    uses_rungs = space.study.rungs is not False
    return StudyPlan(
        space=str(options.space),
        clips=str(options.clips),
        num_trials=len(points),
        device=bench.device,
        places=places,
        recipes=tuple(timed),
        trial=_mean(spent),
        rungs=cost(True)[0] if uses_rungs else None,
        no_rungs=no_rungs,
        does_not_fit=(*places.refused, *what_does_not_fit(timed, settings, places)),
        notes=_notes(settings, bench, places),
    )


def _device(gpus: float) -> str:
    import torch

    return "cuda" if gpus and torch.cuda.is_available() else "cpu"


def _points(space: SearchSpace, settings: StudySettings) -> list[Params]:
    """Return points like those that the study will have: the first ones, then some spread over the whole space."""
    from anon_tune.search.points import grid_points, quasi_random_point

    found: list[Params] = [*space.first[: settings.num_trials]]
    more = settings.num_trials - len(found)
    if settings.sampler == "grid":
        found += grid_points(space, more, settings.seed) if more else ()
    else:
        found.extend(quasi_random_point(space, settings.seed, number) for number in range(more))
    return [point for point in found if _has_recipe(space, point)]


def _has_recipe(space: SearchSpace, point: Params) -> bool:
    try:
        space.recipe(point)
    except RecipeError:  # each value is valid, but not the combination; the trial would fail at once
        return False
    return True


def _ends(space: SearchSpace, settings: StudySettings, costs: StepCosts, points: Sequence[Params]) -> list[Params]:
    """Return the points whose training is predicted to take least and most."""

    def seconds(params: Params) -> float:
        recipe = space.recipe(params)
        return costs.step_s(params) * recipe.training.num_steps

    trained = [point for point in points if _has_recipe(space, point)]
    return [min(trained, key=seconds), max(trained, key=seconds)]


def _timed(timer: Any, space: SearchSpace, settings: StudySettings, role: str, params: Params) -> RecipePlan:
    recipe: Recipe = space.recipe(params)
    times = timer.time(recipe, measure=True, what=f"the {role} recipe, with its measurement")
    levels = space.levels(recipe, rungs=False)
    seconds = timed_seconds(times, recipe, levels, (0,)) if times.measuring else TrialSeconds(0.0, 0.0)
    return RecipePlan(role, recipe.method, params, recipe.training.num_steps, times, seconds)


def _study_cost(
    num_full: int, trials: Sequence[TrialSeconds], raw_s: float, settings: StudySettings, places: Places
) -> StudyCost:
    alone, *others = trials  # the first anchor runs alone
    seconds = TrialSeconds(sum(t.training for t in trials), raw_s + sum(t.measuring for t in trials))
    longest = max(one.total for one in others)
    wall_s = raw_s + alone.total + max(longest, sum(one.total for one in others) / places.num_concurrent)
    workers, hours = settings.workers_per_trial, seconds.total / 3600
    priced = places.price_per_trial_hour is not None and places.price_per_hour is not None
    return StudyCost(
        num_full=num_full,
        seconds=seconds,
        cpu_hours=hours * workers * settings.cpus_per_worker,
        gpu_hours=hours * workers * settings.gpus_per_worker,
        wall_hours=wall_s / 3600,
        money=hours * (places.price_per_trial_hour or 0.0) if priced else None,
        nodes_money=wall_s / 3600 * (places.price_per_hour or 0.0) if priced else None,
    )


def _mean(trials: Sequence[TrialSeconds]) -> TrialSeconds:
    training, measuring = (sum(getattr(t, name) for t in trials) / len(trials) for name in ("training", "measuring"))
    return TrialSeconds(training, measuring)


def _notes(settings: StudySettings, bench: Bench, places: Places) -> tuple[str, ...]:
    said = []
    if settings.gpus_per_worker and bench.device == "cpu":
        said.append(
            "This machine has no GPU, so recipes were timed on its CPU: hours and money are those of trials as slow "
            "as here. Run this command on a node with a GPU for a forecast."
        )
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        said.append("This machine was busy, so times are longer than on a quiet one.")
    if places.cluster and bench.device == "cuda":
        said.append("Nodes are taken to be as fast as this machine.")
    if settings.workers_per_trial > 1:
        said.append("A worker was timed alone with its part of a batch: the time to combine gradients is not in it.")
    return tuple(said)


def _words(params: Params) -> str:
    return ", ".join(f"{name} = {value}" for name, value in params.items())
