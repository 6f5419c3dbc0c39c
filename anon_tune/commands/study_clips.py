"""The clips that a study is trained and measured on, and the stills that its privacy branches may learn on."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.errors import DataError, StudyError
from anon_tune.folder import Folder, is_uri
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.clips import Clips
    from anon_tune.search import SearchSpace
    from anon_tune.study import StudySettings


def find_clips(name: str, out: Folder) -> Clips:
    """Open the clips of a study; the built-in ones are made inside the study directory."""
    from anon_tune.clips import open_clips
    from anon_tune.clips.built_in import BUILT_IN

    location = _built_in(out, name) if name in BUILT_IN else _absolute(name)
    clips = open_clips(location)
    for split in ("train", "val", "test"):
        clips.split(split)  # an empty split is reported now, not in the first trial
    if len(clips.actions) < 2 or not clips.attributes:
        got = f"{len(clips.actions)} and {len(clips.attributes)}"
        remedy = "Import clips that have both, such as vp-ucf101"
        rule = "must have at least two actions and one private attribute, because both are measured"
        raise DataError(location, rule, got, remedy)
    return clips


def clips_of_study(settings: StudySettings, out: Folder) -> Clips:
    """Open the clips of a study that has run.

    Raises:
        StudyError: They are other clips now.
    """
    clips = find_clips(settings.clips, out)
    if clips.fingerprint != settings.clips_fingerprint:
        rule = f"the study was measured on clips {settings.clips_fingerprint}"
        raise StudyError(clips.location, rule, clips.fingerprint, "Restore those clips")
    return clips


def find_stills(name: str, clips: Clips) -> Clips:
    """Open the stills that privacy branches learn on instead of the clips of a study."""
    from anon_tune.clips import check_stills, open_clips

    stills = open_clips(_absolute(name))
    check_stills(stills, clips)
    return stills


def check_recipes(space: SearchSpace, clips: Clips, stills: Clips | None) -> None:
    """Check that the methods of a search space can be used on clips and stills, before the first trial.

    Raises:
        RecipeError: As `anon_tune.training.check_demands`, `check_task` and
            `anon_tune.methods.clip_needs.check_clip_needs`, a network cannot take the clips, or they are too
            short to train a method.
        DataError: A file of weights does not fit its network.
    """
    from anon_tune.accounting.private_run import private_run
    from anon_tune.clips.outside import outside_training
    from anon_tune.methods import build_anonymizer, is_trained
    from anon_tune.methods.clip_needs import check_clip_needs
    from anon_tune.methods.method import find
    from anon_tune.training import check_demands, check_private_networks, check_region, check_task
    from anon_tune.training.trial_run import check_networks
    from anon_tune.utility_task import ANOMALY

    train = clips.split("train")
    num_frames = train.frames.shape[1]
    num_still_frames = None if stills is None else stills.split("train").frames.shape[1]
    _, _, height, width, _ = clips.split("train").frames.shape
    for recipe in space.probes():
        task, segments = recipe.utility.task, recipe.utility.segments
        check_task(task, segments, clips, space.where)
        if task == ANOMALY.name and recipe.evaluation.attackers_learn_on == "outside":
            where = f"{space.where}: with evaluation.attackers_learn_on = 'outside'"
            check_task(task, segments, outside_training(clips), where)
        check_networks(recipe, (num_frames, height, width), is_trained(recipe.method), space.where)
        if is_trained(recipe.method):
            build = partial(build_anonymizer, recipe.with_weights(None))
            check_demands(recipe, num_frames, num_still_frames, build, space.where)
            if (check_clips := find(recipe.method).spec.check_clips) is not None:
                check_clips(recipe, num_frames, space.where)
            if recipe.dp.is_on:
                private_run(recipe, len(train), len(set(train.groups)), space.where)
                check_region(recipe, train, space.where)
                check_private_networks(recipe, build(), (num_frames, height, width), space.where)
        check_clip_needs(recipe, clips, space.where)


def _absolute(name: str) -> str:
    return name if is_uri(name) else str(Path(name).resolve())


def _built_in(out: Folder, name: str) -> str:
    """Make the built-in clips inside the study directory, unless they exist."""
    from anon_tune.clips.built_in import make_built_in
    from anon_tune.clips.manifest import MANIFEST
    from anon_tune.clips.node_cache import save_store

    home = StudyDirectory.at(out).clips
    # At a URI the manifest is written last: without it, an earlier start was interrupted while it copied the clips.
    if not (home.has(MANIFEST) if home.is_remote else home.names()):
        if home.is_remote:
            with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
                save_store(make_built_in(name, Path(scratch) / name).directory, home.location)
        else:
            make_built_in(name, home.path)
    return home.location
