from pathlib import Path

import numpy as np
import pytest

from anon_tune.clips import Clips
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter

SHAPE = (3, 5, 7, 3)  # T, H, W, C all different but one


def coded(clip: int) -> np.ndarray:
    t, h, w, c = np.indices(SHAPE)
    return ((clip * 97 + t * 53 + h * 7 + w * 3 + c * 101) % 251).astype(np.uint8)


@pytest.fixture
def coded_clips(tmp_path: Path) -> Clips:
    """Ten clips in which the value of a pixel tells its clip, frame, row, column and channel."""
    with StoreWriter(tmp_path / "coded", SHAPE) as writer:
        for at in range(10):
            split = ("train", "val", "test")[(at >= 6) + (at >= 8)]
            action, private = f"action-{at % 3}", (at % 2 == 0, at % 4 < 2)
            writer.add(Labels(f"clip-{at}", f"{at}.mp4", split, f"group-{at}", action, private), coded(at))
        return writer.finish(("even", "low"), 5.0, "coded")
