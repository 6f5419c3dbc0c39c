"""Checks, before any work, that clips have what a method needs."""

from __future__ import annotations

import numpy as np

from anon_tune.clips import Clips
from anon_tune.errors import RecipeError
from anon_tune.methods.method import Method, find
from anon_tune.recipe import Recipe

_NUM_LOOKED_AT = 16  # clips in which a detector must find somebody
_OTHER = "Choose another method"


def check_clip_needs(recipe: Recipe, clips: Clips, where: str) -> None:
    """Check that the clips have what the recipe's method needs.

    This loads the detector of a method that changes persons, and looks at 16 training clips with it.

    Args:
        recipe: The recipe of the method.
        clips: The clips that it is to be measured on.
        where: The file or option that it came from, for error messages.

    Raises:
        RecipeError: The clips are too short for the method or lack the key points that it needs, or its detector finds
            no person in them.
    """
    method, num_frames = find(recipe.method), clips.shape[0]
    by_motion = method.values.get("detector") == "background"
    least = max(method.spec.least_frames, 2 if by_motion else 1)
    if num_frames < least:
        rule = f"the method '{recipe.method}' compares the frames of a clip, and needs at least {least}"
        raise RecipeError(where, rule, num_frames, "Write detector=hog" if by_motion else _OTHER)
    check_keypoints_known(recipe.method, bool(clips.manifest.keypoints), where)
    if "persons" in method.spec.needs and not _follows_keypoints(method, clips):
        _check_persons(method, clips, where)


def check_keypoints_known(method: str, known: bool, where: str) -> None:
    """Refuse a method that is told to use nothing but key points, if there are none.

    Raises:
        RecipeError: The method needs key points, and there are none.
    """
    if not known and find(method).values.get("pose") == "keypoints":
        how = "Give them" if where == "anonymize" else "Import the clips"
        remedy = f"{how} with --keypoints, or write pose=any"
        raise RecipeError(where, f"the method '{method}' needs key points, and there are none", remedy=remedy)


def _follows_keypoints(method: Method, clips: Clips) -> bool:
    return bool(clips.manifest.keypoints) and method.values.get("pose") in ("any", "keypoints")


def _check_persons(method: Method, clips: Clips, where: str) -> None:
    from anon_tune.methods.persons.network import DETECTORS

    detector = str(method.values.get("detector", ""))
    if detector not in DETECTORS:  # a method of somebody else finds persons in its own way
        return
    train = clips.split("train")
    some = np.unique(np.linspace(0, len(train) - 1, _NUM_LOOKED_AT).round().astype(np.int64))
    if not any(bool(DETECTORS[detector](train.clips([at])).any()) for at in some):
        rule = f"the detector '{detector}' of the method '{method.name}' finds no person in {len(some)} training clips"
        other = "hog" if detector == "background" else "background"
        raise RecipeError(where, rule, remedy=_OTHER if clips.shape[0] < 2 else f"Write detector={other}")
