from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anon_tune.clips import Clips
from anon_tune.clips.codec import round_trip, round_trip_split
from anon_tune.video.looping import looping_webm


def scene(num_frames: int, height: int, width: int) -> np.ndarray:
    """A bright square that moves over a smooth ground."""
    rows, columns = np.mgrid[:height, :width]
    ground = np.stack([rows * 90 // height + 60, columns * 90 // width + 60, rows * 0 + 100], axis=-1)
    frames = np.repeat(ground[None], num_frames, axis=0).astype(np.uint8)
    for at in range(num_frames):
        left = at * (width - 8) // max(1, num_frames)
        frames[at, 4:12, left : left + 8] = (220, 200, 40)
    return frames


@settings(max_examples=15)
@given(st.integers(1, 7), st.integers(1, 21), st.integers(1, 21), st.integers(0, 255), st.floats(0.5, 60))
def test_frames_stay_frames(num_frames: int, height: int, width: int, level: int, fps: float) -> None:
    frames = np.full((num_frames, height, width, 3), level, np.uint8)
    before = frames.copy()
    out = round_trip(frames, fps, 23)
    assert (out.shape, out.dtype) == (frames.shape, np.uint8)
    assert np.abs(out.astype(int) - level).max() <= 3
    assert (frames == before).all()


def test_frames_of_a_very_long_video() -> None:
    """Sixteen frames of ten hours are shown at less than a thousandth of a frame per second."""
    frames, fps = scene(4, 32, 32), 16 / 36_000
    assert np.abs(round_trip(frames, fps, 10).astype(int) - frames).mean() < 6
    assert looping_webm(frames, fps)


def test_order_place_and_colour_survive() -> None:
    frames = scene(10, 35, 47)
    out = round_trip(frames, 12.5, 10)
    assert np.abs(out.astype(int) - frames).mean() < 6
    nearest = [int(np.abs(out[at].astype(int) - frames).mean(axis=(1, 2, 3)).argmin()) for at in range(10)]
    assert nearest == list(range(10))


def test_a_border_of_an_odd_size_does_not_bleed() -> None:
    frames = np.full((3, 31, 33, 3), 230, np.uint8)
    assert round_trip(frames, 25, 23)[:, -1].min() >= 227
    assert round_trip(frames, 25, 23)[:, :, -1].min() >= 227


def test_the_same_bytes_every_time() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 24, 32, 3), np.uint8)
    first = round_trip(frames, 8, 30)
    littered = []  # so that memory that nobody wrote is never the same
    for size in range(1, 60):
        littered.append(np.full(1000 * size, size, np.uint8))
        assert (round_trip(frames, 8, 30) == first).all()


def test_a_higher_factor_loses_more() -> None:
    frames = scene(6, 48, 64)
    noisy = np.clip(frames + np.random.default_rng(1).normal(0, 12, frames.shape), 0, 255).astype(np.uint8)
    errors = [np.abs(round_trip(noisy, 25, crf).astype(int) - noisy).mean() for crf in (0, 20, 35, 51)]
    assert errors == sorted(errors)
    assert errors[-1] > 1.3 * errors[0]


def test_a_split_keeps_its_labels_and_order(avatars: Clips, tmp_path: Path) -> None:
    split = avatars.split("val")
    seen: list[tuple[int, int]] = []
    out = round_trip_split(split, tmp_path / "val.npy", avatars.fps, 23, lambda *done: seen.append(done))
    assert seen == [(at, len(split)) for at in range(1, len(split) + 1)]
    assert (out.ids, out.groups) == (split.ids, split.groups)
    assert (out.private == split.private).all() and (out.actions == split.actions).all()
    assert (out.frames[5] == round_trip(split.frames[5], avatars.fps, 23)).all()
    assert out.frames.shape == split.frames.shape
    assert not (out.frames == split.frames).all()
    assert np.abs(out.frames.astype(int) - split.frames).mean() == pytest.approx(0, abs=12)
