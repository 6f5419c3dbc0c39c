"""Frame truth in a clip store, and the generated set that has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from anon_tune.clips import Clips, make_anomalies, open_clips
from anon_tune.clips.frame_truth import FrameTruth, as_anomalies
from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import MANIFEST
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import DataError

SHAPE = (4, 5, 7, 3)


def store(path: Path, *truths: FrameTruth | None, action: str = "fight") -> Clips:
    with StoreWriter(path, SHAPE, force=True) as writer:
        for at, truth in enumerate((None, *truths)):
            kind = action if at else "normal"
            labels = Labels(f"clip-{at}", "", "test" if at else "train", f"group-{at}", kind, (at % 2 == 0,), truth)
            writer.add(labels, np.full(SHAPE, at, np.uint8), shown=(0, 3, 6, 9))
        return writer.finish(("even",), 5.0, "made")


def test_the_truth_is_that_of_the_frames_that_are_shown(tmp_path: Path) -> None:
    clips = store(tmp_path / "a", FrameTruth(((3, 6), (9, 10))), FrameTruth(()))
    test = clips.split("test")
    assert test.frame_truth is not None
    assert test.frame_truth.tolist() == [[0, 1, 0, 1], [0, 0, 0, 0]]
    assert clips.split("train").frame_truth is None
    assert open_clips(tmp_path / "a").fingerprint == clips.fingerprint


def test_the_fingerprint_changes_with_the_truth_only_where_there_is_any(tmp_path: Path) -> None:
    without = store(tmp_path / "a", None)
    assert "frame_truth" not in pq.read_schema(tmp_path / "a" / MANIFEST).names
    assert without.fingerprint == "34da149f86435487"  # as before frame truth was known
    one, other = (store(tmp_path / "b", FrameTruth(((at, at + 1),))).fingerprint for at in (0, 3))
    assert len({without.fingerprint, one, other}) == 3


def test_a_part_of_the_truth_is_no_truth_of_a_split(tmp_path: Path) -> None:
    assert store(tmp_path / "a", FrameTruth(()), None).split("test").frame_truth is None


def test_no_frame_of_a_normal_clip_is_abnormal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no frame of a clip of action 'normal' may be abnormal, got clip-1"):
        store(tmp_path / "a", FrameTruth(((0, 1),)), action="normal")


def test_labels_tell_normal_from_every_other_action(tmp_path: Path) -> None:
    clips = store(tmp_path / "a", None)
    labelled = [as_anomalies(clips.split(name)).actions.tolist() for name in ("train", "test")]
    assert labelled == [[0], [1]]
    assert as_anomalies(as_anomalies(clips.split("test"))).actions.tolist() == [1]


def test_the_generated_set_is_abnormal_exactly_where_the_person_steps_across(tmp_path: Path) -> None:
    sizes = {"num_train": 4, "num_val": 2, "num_test": 8, "num_frames": 16}
    clips = make_anomalies(tmp_path / "a", **sizes)
    test = clips.split("test")
    assert test.frame_truth is not None
    assert make_anomalies(tmp_path / "b", **sizes).fingerprint == clips.fingerprint
    assert [clips.actions[at] for at in test.actions] == ["normal", "abnormal"] * 4
    assert (test.private[0::2] == test.private[1::2]).all()  # a person is once normal and once abnormal
    assert set(test.frame_truth.sum(axis=1).tolist()) == {0, 8}
    assert test.persons is not None and 0.02 < np.unpackbits(test.persons, axis=-1).mean() < 0.6  # the person masks
    # The pictures themselves agree: the columns that a person covers move most from frame to frame while it steps.
    frames = test.frames.astype(float).mean(axis=-1)
    columns = np.abs(frames - np.median(frames, axis=1, keepdims=True)).mean(axis=2)
    centre = (columns * np.arange(columns.shape[-1])).sum(axis=-1) / columns.sum(axis=-1)
    for truth, path in zip(test.frame_truth[1::2].astype(bool), centre[1::2], strict=True):
        inside = np.ptp(path[truth])
        assert inside > np.ptp(path[: np.flatnonzero(truth)[0]]) if truth[0] == 0 else inside > 0
