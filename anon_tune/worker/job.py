"""Does one rung job: trains a trial up to a rung, measures it and writes its files.

Shapes: T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

import socket
import time
from functools import partial

import numpy as np
import torch

from anon_tune.accounting.private_run import private_run
from anon_tune.clips import Clips
from anon_tune.clips.outside import measured_clips
from anon_tune.errors import AnonTuneError
from anon_tune.evaluation import measure, raw_networks
from anon_tune.folder import File
from anon_tune.methods import attackers_of, build_anonymizer, is_trained, trainer_of
from anon_tune.methods.loading import given_anonymizer
from anon_tune.networks import Anonymizer, save_weights
from anon_tune.study_directory import TrialDirectory, recorded_weights
from anon_tune.training import Collective, TrialTrainer
from anon_tune.trial import LossPoint, RungJob, RungReport
from anon_tune.worker.preview import write_previews

_CHECKPOINT_EVERY_S = 60.0
_STEPS_AT_A_TIME = 20
_CURVE_POINTS = 100


def perform(
    job: RungJob, clips: Clips, device: torch.device, stills: Clips | None = None, baselines: str = ""
) -> RungReport | None:
    """Do a rung job. A single worker calls this in its process, and each of several workers under Ray Train.

    Training goes on from the trial's checkpoint if there is one. The job leaves these files in its directory: the
    trainer's checkpoint until the full score, the anonymizer's weights, and, with the full score, previews of original
    and anonymized clips. A job that brings weights is only measured and leaves no files.

    Args:
        job: The trial, its recipe, and the step up to which to train it.
        clips: The clip store on which the trial trains and is measured.
        device: The device to compute on.
        stills: Another clip store; if given, the privacy branch learns on its training stills instead.
        baselines: Folder that keeps attackers trained on raw clips for all trials; empty for this process's memory.

    Returns:
        The report on the worker of world rank 0, None on the other workers.

    Raises:
        AnonTuneError: The trial cannot go on, for example because a loss is not finite.
    """
    start = time.monotonic()
    place = TrialDirectory.at(job.directory)
    recipe = job.recipe
    points: list[LossPoint] = []
    trains = is_trained(recipe.method) and not job.weights
    if trains:
        points, anonymizer = _train(job, clips, device, stills)
    else:
        anonymizer = given_anonymizer(recipe, job.weights)
    if Collective().world_rank != 0:
        return None
    own, inputs = attackers_of(recipe)
    seen = measured_clips(clips, recipe.evaluation.attackers_learn_on)
    raw = raw_networks(seen, recipe.evaluation, device, baselines, recipe.utility)
    measuring = recipe.evaluation, job.full, job.ceilings, device, own, inputs, raw, recipe.utility
    score = measure(anonymizer, seen, *measuring)
    if trains:
        with place.weights.writing() as path:
            save_weights(anonymizer.state_dict(), path, weights_metadata(job, clips))
    if job.full and not job.weights:
        write_previews(anonymizer, clips, place, device)
        place.checkpoint.remove()
    return RungReport(
        trial_id=job.trial_id,
        rung=job.rung,
        step=job.step,
        score=score,
        curve=_thin(points),
        seconds=time.monotonic() - start,
        node=socket.gethostname(),
        weights=recorded_weights(job.trial_id) if trains else "",
    )


def weights_metadata(job: RungJob, clips: Clips) -> dict[str, str]:
    """Return what weights carry: their recipe and, if their training was private, its account."""
    carried = {"recipe": job.recipe.model_dump_json()}
    if job.recipe.dp.is_on:
        train = clips.split("train")
        run = private_run(job.recipe, len(train), len(set(train.groups)))
        carried["account"] = run.after(job.recipe, job.step).to_json()
    return carried


def _train(
    job: RungJob, clips: Clips, device: torch.device, stills: Clips | None
) -> tuple[list[LossPoint], Anonymizer]:
    checkpoint = TrialDirectory.at(job.directory).checkpoint
    num_attributes = len((stills or clips).attributes)
    other = stills.split("train") if stills else None
    recipe, train = job.recipe, clips.split("train")
    build = partial(build_anonymizer, recipe)
    trainer = trainer_of(recipe)(recipe, build, train, len(clips.actions), num_attributes, device, other)
    if checkpoint.exists():
        with checkpoint.reading() as path:
            trainer.load(path)
    elif recipe.dp.is_on and (job.rung or TrialDirectory.at(job.directory).weights.exists()):
        rule = "is gone. This private trial was scored before, and its epsilon does not cover training it again"
        raise AnonTuneError(str(checkpoint), rule, remedy="Restore the file from a copy, or do without the trial")
    saves = Collective().world_rank == 0
    points: list[LossPoint] = []
    saved = time.monotonic()
    while trainer.step < job.step:
        points += trainer.train_until(min(job.step, trainer.step + _STEPS_AT_A_TIME))
        if saves and time.monotonic() - saved > _CHECKPOINT_EVERY_S:
            _save(trainer, checkpoint)
            saved = time.monotonic()
    if saves:
        _save(trainer, checkpoint)
    return points, trainer.anonymizer


def _save(trainer: TrialTrainer, checkpoint: File) -> None:
    with checkpoint.writing() as path:
        trainer.save(path)


def _thin(points: list[LossPoint]) -> tuple[LossPoint, ...]:
    if len(points) <= _CURVE_POINTS:
        return tuple(points)
    kept = np.linspace(0, len(points) - 1, _CURVE_POINTS).round().astype(int)
    return tuple(points[i] for i in kept)
