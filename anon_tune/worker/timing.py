"""Times a few steps of a recipe and the parts of its measurement, as a worker would do them."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from anon_tune.clips import Clips, open_clips
from anon_tune.clips.outside import measured_clips
from anon_tune.errors import DivergedError
from anon_tune.evaluation.timing import MeasuringTimes, time_measuring
from anon_tune.methods import attackers_of, build_anonymizer, is_trained, trainer_of
from anon_tune.methods.loading import given_anonymizer
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe
from anon_tune.training import TrialTrainer
from anon_tune.worker.memory import first_line, is_out_of_memory
from anon_tune.worker.peak_memory import forget_peak, peak_bytes, peak_gpu_bytes

_PATIENCE_S = 1.0  # of timed steps, unless two steps take longer
_FEWEST_STEPS, _MOST_STEPS = 2, 20
_TIMED_UPDATES = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RecipeTimes:
    """What a trial with a recipe takes, in parts that do not depend on how many steps it has.

    Attributes:
        start_s: Seconds to build the networks, and of what the method does once before the game.
        pretrain_s: Seconds of a pretraining step.
        warmup_s: Seconds of a warm-up update.
        step_s: Seconds of a step.
        measuring: Seconds of its measurements; None if they were not timed.
        peak_bytes: Largest resident memory of the process.
        peak_gpu_bytes: Largest memory that torch held on the GPU; 0 on the CPU.
        refused: Why it does not fit here; empty if it does.
    """

    start_s: float = 0.0
    pretrain_s: float = 0.0
    warmup_s: float = 0.0
    step_s: float = 0.0
    measuring: MeasuringTimes | None = None
    peak_bytes: int = 0
    peak_gpu_bytes: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where recipes are timed. It is sent to the process that times them.

    Attributes:
        clips: Location of the clip store.
        stills: Location of the store that privacy branches learn on; empty for the clips.
        threads: Number of threads, one for each CPU of a worker.
        device: Name of the device.
        num_workers: Workers of a trial. A worker is timed with its part of each batch, without the others.
    """

    clips: str
    stills: str = ""
    threads: int = 1
    device: str = "cpu"
    num_workers: int = 1


def time_recipe(bench: Bench, recipe: Recipe, measure: bool) -> RecipeTimes:
    """Time a few steps of a recipe.

    Args:
        bench: Where to compute, and on which clips.
        recipe: The recipe; how many steps it has does not matter.
        measure: Also time its measurement.

    Raises:
        AnonTuneError: The recipe cannot be trained on these clips.
    """
    torch.set_num_threads(min(bench.threads, os.cpu_count() or 1))  # a study may be for a larger machine
    device = torch.device(bench.device)
    forget_peak(device)
    clips = open_clips(bench.clips)
    try:
        times, anonymizer = _training(bench, recipe, clips, device)
        measuring = _measuring(recipe, clips, anonymizer, device) if measure else None
    except DivergedError as error:
        return RecipeTimes(peak_bytes=peak_bytes(), refused=error.reason)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return RecipeTimes(peak_bytes=peak_bytes(), refused=f"out of memory on {device}: {first_line(error)}")
    return RecipeTimes(*times, measuring, peak_bytes(), peak_gpu_bytes(device))


def _training(
    bench: Bench, recipe: Recipe, clips: Clips, device: torch.device
) -> tuple[tuple[float, float, float, float], Anonymizer]:
    """Return seconds of the start, a pretraining step, a warm-up and a step; and the anonymizer."""
    if not is_trained(recipe.method):
        return (0.0, 0.0, 0.0, 0.0), given_anonymizer(recipe).to(device)
    make = _TrainerMaker(bench, recipe, clips, device)
    pretrains, warms = recipe.anonymizer.pretrain_steps > 0, recipe.training.warmup_steps > 0
    make.trainer(pretrain_steps=1, warmup_steps=0).train_until(1)  # the first of everything is slow
    trainer, start_s = _timed(partial(make.trainer, pretrain_steps=int(pretrains), warmup_steps=0), device)
    _, once_s = _timed(lambda: trainer.train_until(0), device)
    pretrain_s = warmup_s = 0.0
    if pretrains:
        more = make.trainer(pretrain_steps=1 + _TIMED_UPDATES, warmup_steps=0)
        pretrain_s = max(_timed(lambda: more.train_until(0), device)[1] - once_s, 0.0) / _TIMED_UPDATES
    if warms:
        more = make.trainer(pretrain_steps=int(pretrains), warmup_steps=_TIMED_UPDATES)
        warmup_s = max(_timed(lambda: more.train_until(0), device)[1] - once_s, 0.0) / _TIMED_UPDATES
    trainer.train_until(1)
    seconds: list[float] = []
    while len(seconds) < _FEWEST_STEPS or (sum(seconds) < _PATIENCE_S and len(seconds) < _MOST_STEPS):
        seconds.append(_timed(partial(trainer.train_until, trainer.step + 1), device)[1])
    times = (start_s + max(once_s - pretrain_s, 0.0), pretrain_s, warmup_s, statistics.median(seconds))
    return times, trainer.anonymizer


@dataclass(frozen=True, slots=True)
class _TrainerMaker:
    """Makes trainers of a recipe with few steps of preparation."""

    bench: Bench
    recipe: Recipe
    clips: Clips
    device: torch.device
    _stills: list[Clips] = field(default_factory=list)

    def trainer(self, pretrain_steps: int, warmup_steps: int) -> TrialTrainer:
        """Return a trainer that has not begun."""
        if self.bench.stills and not self._stills:
            self._stills.append(open_clips(self.bench.stills))
        stills = self._stills[0] if self._stills else None
        recipe = self._with_few_steps(pretrain_steps, warmup_steps)
        num_attributes = len((stills or self.clips).attributes)
        return trainer_of(recipe)(
            recipe,
            partial(build_anonymizer, recipe),
            self.clips.split("train"),
            len(self.clips.actions),
            num_attributes,
            self.device,
            stills.split("train") if stills else None,
        )

    def _with_few_steps(self, pretrain_steps: int, warmup_steps: int) -> Recipe:
        recipe, batch_clips = self.recipe, self.recipe.training.batch_clips
        training = recipe.training.model_copy(
            update={
                "num_steps": max(recipe.training.num_steps, 2 + _MOST_STEPS),
                "warmup_steps": warmup_steps,
                "batch_clips": max(min(2, batch_clips), -(-batch_clips // self.bench.num_workers)),
            }
        )
        anonymizer = recipe.anonymizer.model_copy(update={"pretrain_steps": pretrain_steps})
        privacy = recipe.privacy.model_copy(update={"restart_steps": 0})
        return recipe.model_copy(update={"training": training, "anonymizer": anonymizer, "privacy": privacy})


def _measuring(recipe: Recipe, clips: Clips, anonymizer: Anonymizer, device: torch.device) -> MeasuringTimes:
    own, inputs = attackers_of(recipe)
    clips = measured_clips(clips, recipe.evaluation.attackers_learn_on)
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        folder, utility = Path(scratch), recipe.utility
        return time_measuring(anonymizer, clips, recipe.evaluation, device, folder, own, inputs, utility)


def _timed(do: Callable[[], _T], device: torch.device) -> tuple[_T, float]:
    begun = time.perf_counter()
    done = do()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return done, time.perf_counter() - begun
