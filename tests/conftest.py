"""What tests of several rooms share: tiny clips, a tiny recipe, and one thread a test process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from anon_tune.clips import Clips, make_avatars
from anon_tune.recipe import Recipe

TINY = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 2,
    "training.num_steps": 6,
    "training.batch_clips": 4,
    "training.warmup_steps": 1,
    "evaluation.rung.attacker_steps": 4,
    "evaluation.rung.classifier_steps": 4,
    "evaluation.full.attacker_steps": 4,
    "evaluation.full.classifier_steps": 4,
    "evaluation.num_bootstraps": 5,
    "evaluation.width": 4,
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Few, small and short avatar clips: 4 frames of 16 x 20 pixels."""
    directory = tmp_path_factory.mktemp("clips") / "avatars"
    return make_avatars(directory, num_train=24, num_val=12, num_test=12, num_frames=4, height=16, width=20)


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """Return a recipe that trains and is measured in a second; takes flat dotted names to change it."""

    def build(params: dict[str, Any] | None = None) -> Recipe:
        return Recipe.from_params(TINY | (params or {}))

    return build
