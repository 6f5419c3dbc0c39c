"""ROC AUC over frames, with oracle values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anon_tune.clips import ClipSet
from anon_tune.evaluation.utility_metric import beside_value, frame_auc, utility_floor, utility_value


def clips_with(truth: list[list[int]] | None, actions: list[int]) -> ClipSet:
    num = len(actions)
    frames = np.zeros((num, 4, 2, 2, 3), np.uint8)
    known = None if truth is None else np.array(truth, np.uint8)
    names = tuple(map(str, range(num)))
    return ClipSet(frames, np.array(actions), np.zeros((num, 1), np.uint8), names, names, frame_truth=known, normal=0)


def test_the_auc_of_frames_is_the_oracle() -> None:
    truth, scores = [[0, 0, 1, 1, 0, 1, 0, 0]], [[0.1, 0.4, 0.35, 0.8, 0.2, 0.7, 0.5, 0.05]]
    assert frame_auc(np.array(scores), np.array(truth, np.uint8)) == pytest.approx(13 / 15)


def test_a_segment_gives_its_score_to_all_its_frames() -> None:
    clips = clips_with([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]], [0, 1, 1])
    assert utility_value("anomaly", np.array([[0.2], [0.6], [0.6]]), clips) == pytest.approx(0.8333333)


def test_telling_videos_apart_is_chance_inside_abnormal_videos() -> None:
    clips = clips_with([[0, 0, 0, 0], [0, 1, 1, 0]], [0, 1])
    said = np.array([[0.1, 0.1], [0.9, 0.9]])
    assert utility_value("anomaly", said, clips) == pytest.approx(5 / 6)
    assert beside_value(said, clips) == 0.5
    assert math.isnan(beside_value(said, clips, np.array([0, 0])))  # a resample without abnormal clips


def test_without_frame_truth_videos_are_told_apart_by_their_largest_score() -> None:
    clips = clips_with(None, [0, 1, 1])
    assert utility_value("anomaly", np.array([[0.5, 0.1], [0.2, 0.9], [0.4, 0.3]]), clips) == 0.5


def test_the_floor_is_that_of_a_network_that_sees_nothing() -> None:
    clips = clips_with([[0, 0, 0, 0], [0, 1, 1, 0]], [0, 1])
    assert utility_floor("anomaly", clips, clips) == utility_value("anomaly", np.zeros((2, 2)), clips) == 0.5
    assert utility_floor("action", clips_with(None, [0, 1, 1]), clips) == 0.5  # one of two clips has action 1
