"""Values of a search space that follow from the clips of its study."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from anon_tune.attackers.by_size import values_by_size
from anon_tune.search.space import SearchSpace


def for_clips(
    space: SearchSpace, num_clips: int, height: int, width: int, begun: Container[str] | None = None
) -> SearchSpace:
    """Return a space with the values that follow from the clips, where the space does not name them itself.

    Args:
        space: The search space.
        num_clips: Clips of the training split, from which recipes with epochs take their steps.
        height: Pixels. Large clips are measured by large networks too, see `anon_tune.attackers.by_size`.
        width: Pixels.
        begun: Names of the values that the study was begun with, if it was: one that was begun before the size of clips
            mattered must go on without the values that follow from the size. None for a new study.
    """
    by_size = values_by_size(height, width)
    found: dict[str, Any] = {name: value for name, value in by_size.items() if begun is None or name in begun}
    if "training.num_epochs" in {*space.fixed, *space.search}:
        found["training.epoch_clips"] = num_clips
    missing = {name: value for name, value in found.items() if name not in space.fixed}
    return space.model_copy(update={"fixed": {**space.fixed, **missing}}) if missing else space
