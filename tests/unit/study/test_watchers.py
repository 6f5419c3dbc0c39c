"""Watchers: what TensorBoard reads, and that no watcher can end a study."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from anon_tune.study.watchers import Watchers
from anon_tune.trackers.tensorboard import TensorBoardFiles
from anon_tune.trial import LossPoint, Reading, RungReport, Score, Trial, TrialState

SCORE = Score(
    False, Reading(0.6, 0.2, 1.0, 0.5, 0.7, 0.62), Reading(0.8, 0.2, 0.2, 0.7, 0.9, 0.79), {}, {}, 0.1, 8, 4, 0, 1
)
TRIAL = Trial("0003", 3, "adversarial", {"penalty.weight": 0.5, "penalty.on": "pixels"}, "f", TrialState.RUNNING)


def report(rung: int, full: bool = False) -> RungReport:
    curve = tuple(LossPoint(10 * rung + i, {"utility": 2.0 - i, "penalty": 0.1}) for i in (1, 2))
    return RungReport("0003", rung, 10 * (rung + 1), replace(SCORE, full=full), curve, 7.0, "here", "")


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_reads_what_was_reported_also_after_a_resume(tmp_path: Path) -> None:
    files = TensorBoardFiles(tmp_path)
    files.see(TRIAL, None)
    assert not any(tmp_path.iterdir())
    files.see(TRIAL, report(0))
    files.see(TRIAL, report(1))
    later = TensorBoardFiles(tmp_path)
    later._name += ".later"  # as of another process
    later.see(replace(TRIAL, state=TrialState.COMPLETE), report(2, full=True))

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted((tmp_path / "0003").iterdir()):
        events = read(file)
        for tag in events.Tags()["scalars"]:
            found[tag] = found.get(tag, []) + [(e.step, round(e.value, 5)) for e in events.Scalars(tag)]
        (words,) = events.Tensors("params")[0].tensor_proto.string_val
        assert b"| penalty.weight | 0.5 |" in words
        content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        params = HParamsPluginData.FromString(content).session_start_info.hparams
        assert params["penalty.weight"].number_value == 0.5 and params["penalty.on"].string_value == "pixels"
    assert found["loss/utility"] == [(1, 1.0), (2, 0.0), (11, 1.0), (12, 0.0), (21, 1.0), (22, 0.0)]
    assert found["rung/leakage"] == [(10, 0.6), (20, 0.6)]
    assert found["full/leakage"] == [(30, 0.6)]
    assert found["full/leakage_normalized"] == [(30, 0.5)]
    assert found["full/accuracy"] == [(30, 0.8)]
    assert "full/accuracy_normalized" not in found  # raw clips are at the floor: there is no such number
    assert found["job_seconds"] == [(10, 7.0), (20, 7.0), (30, 7.0)]


def test_a_watcher_that_fails_is_named_once_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "full").touch()  # no folder can be made in a file
    told = Watchers([("Broken", TensorBoardFiles(tmp_path / "full")), ("Whole", TensorBoardFiles(tmp_path / "whole"))])
    with caplog.at_level(logging.WARNING):
        for rung in (0, 1):
            told.see(TRIAL, report(rung))
        told.close()
    assert [r.getMessage().partition(":")[0] for r in caplog.records] == ["Broken stops, but the study goes on"]
    assert [e.step for e in read(tmp_path / "whole" / "0003").Scalars("rung/leakage")] == [10, 20]
