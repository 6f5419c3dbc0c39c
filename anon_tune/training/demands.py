"""What a recipe demands of the clips and stills on which it is trained."""

from __future__ import annotations

from collections.abc import Callable

from anon_tune.attackers import Setting, find
from anon_tune.clips import Clips
from anon_tune.clips.frame_truth import NORMAL
from anon_tune.clips.manifest import SPLITS
from anon_tune.errors import RecipeError
from anon_tune.networks import Anonymizer
from anon_tune.recipe import NETWORK_BRANCH, Recipe
from anon_tune.training.branches import branch_network
from anon_tune.utility_task import ANOMALY

_SHORTEST = {"clip": 2, "motion": 2}
"""Frames that a clip needs for a branch to see more than one frame shows."""

_SEE_STILLS = (NETWORK_BRANCH, "frame", "pixels")
"""Branches that single frames are enough for."""


def check_demands(
    recipe: Recipe, num_frames: int, num_still_frames: int | None, build: Callable[[], Anonymizer], where: str
) -> None:
    """Check that a recipe can be trained on clips, and on stills if there are any.

    Args:
        recipe: The recipe of a trained method.
        num_frames: Frames per clip.
        num_still_frames: Frames per clip of the store that the stills come from; None if there is none.
        build: Builds the anonymizer; called only if there are stills.
        where: The file that the recipe came from, for error messages.

    Raises:
        RecipeError: A branch is no network or needs longer clips, or a branch or the anonymizer cannot learn on stills.
    """
    if recipe.training.num_epochs is not None and not recipe.training.epoch_clips:
        rule = "'training.num_epochs' needs 'training.epoch_clips', which only a study sets by itself"
        raise RecipeError(where, rule, remedy="Set it to the number of training clips, or set 'training.num_steps'")
    for name in recipe.privacy.branches:
        if num_frames < (least := _SHORTEST.get(name, 1)):
            rule = f"the branch '{name}' of 'privacy.branches' needs clips of at least {least} frames"
            raise RecipeError(where, rule, num_frames, "Leave it out, or import longer clips")
        if name != NETWORK_BRANCH:
            branch_network(find(name, where), Setting(2, recipe.privacy.width, (num_frames, 16, 16)), where)
        if num_still_frames is not None and name not in _SEE_STILLS:
            rule = f"the branch '{name}' of 'privacy.branches' needs clips and cannot learn on stills"
            raise RecipeError(where, rule, remedy=f"Name only {', '.join(_SEE_STILLS)}, or leave --stills out")
    if num_still_frames is None:
        return
    anonymizer = build()
    if anonymizer.num_before != 0 or anonymizer.num_after != 0:
        rule = "an anonymizer whose frames depend on other frames cannot learn on stills"
        got = recipe.method if recipe.method != "adversarial" else f"the network '{recipe.anonymizer.network}'"
        raise RecipeError(where, rule, got, "Choose another method or network, or leave --stills out")
    if recipe.privacy.head == "nt_xent" and num_still_frames == 1 and recipe.training.crop == 1:
        rule = "'nt_xent' on stills of one frame needs 'training.crop' below 1, or both views are the same"
        raise RecipeError(where, rule, recipe.training.crop, "Try --set training.crop=0.5")


def check_task(task: str, segments: int, clips: Clips, where: str) -> None:
    """Check that clips have what a utility task needs.

    Args:
        task: Name of the task.
        segments: For ``anomaly``, the segments of a clip.
        clips: The clips of a study or an audit.
        where: The file or option that the task came from, for error messages.

    Raises:
        RecipeError: The clips cannot be cut into these segments, or lack normal clips, abnormal clips or frame truth.
    """
    if task != ANOMALY.name:
        return
    what = f"the task '{task}' needs"
    if clips.shape[0] % segments:
        rule = f"{what} clips whose number of frames is a multiple of {segments}, the number of segments"
        named = "utility.segments in a study, segments in an audit"
        raise RecipeError(where, rule, clips.shape[0], f"Set a divisor ({named}), or import other clips")
    for name in SPLITS:
        split = clips.split(name)
        for kind, count in (("normal", split.actions == split.normal), ("abnormal", split.actions != split.normal)):
            if not count.any():
                rule = f"{what} {kind} clips in the split '{name}', where the action of normal ones is '{NORMAL}'"
                raise RecipeError(where, rule, "none", "Import such clips, as docs/anomaly.md says")
    truth = clips.split("test").frame_truth
    if truth is None or truth.all() or not truth.any():
        got = "none" if truth is None else "frames of one kind only"
        rule = f"{what} frame truth of all clips in the split 'test', with abnormal and normal frames"
        raise RecipeError(where, rule, got, "Import it with the labels, as docs/anomaly.md says")
