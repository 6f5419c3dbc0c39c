"""Writes event files for TensorBoard as reports arrive: a folder per trial, and in it a file per driver."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from anon_tune.folder import File
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import RungReport, Trial
from anon_tune.video.looping import as_gif


class TensorBoardFiles:
    """Writes training losses by step, the scores at each rung, and the params of every trial.

    A file is open only while a report is written to it, so the number of open files does not grow with the study. A
    driver that resumes a study writes new files beside the earlier ones; TensorBoard reads all of them.

    Args:
        folder: The folder that gets one folder per trial.
        study: The study directory, whose moving previews are written too; None for none.
    """

    def __init__(self, folder: Path, study: StudyDirectory | None = None) -> None:
        self._folder, self._study = folder, study
        self._name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
        self._begun: set[str] = set()

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Append the numbers of a report; nothing is written without one.

        Raises:
            OSError: The file cannot be written, for example because the disk is full.
        """
        if report is None:
            return
        content = io.BytesIO()
        writer = RecordWriter(content)
        begins = [Event(file_version="brain.Event:2"), *_params(trial)] if trial.id not in self._begun else []
        for event in (*begins, *_measured(report), *self._preview(report)):
            event.wall_time = time.time()
            writer.write(event.SerializeToString())
        path = self._folder / trial.id / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.write(content.getvalue())
        self._begun.add(trial.id)

    def _preview(self, report: RungReport) -> Iterator[Event]:
        """Yield the moving preview as an animated GIF, which TensorBoard shows among the images."""
        clip = None if self._study is None or not report.score.full else preview_of(self._study, report.trial_id)
        if clip is not None:
            gif, height, width = as_gif(clip.read())
            image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
            yield Event(step=report.step, summary=Summary(value=[Summary.Value(tag="preview", image=image)]))

    def close(self) -> None:
        """Do nothing, because no file is open."""


def preview_of(study: StudyDirectory, trial_id: str) -> File | None:
    """Return the moving preview of a trial; None if it has none."""
    clip = study.trial(trial_id).moving_preview
    return clip if clip.exists() else None


def measured(report: RungReport) -> dict[str, float]:
    """Return the finite numbers of a report by name.

    The names begin with ``rung/`` or ``full/``, because rung scores cannot be compared with full scores.
    """
    score, effort = report.score, "full" if report.score.full else "rung"
    numbers = {
        f"{effort}/leakage": score.leakage.value,
        f"{effort}/leakage_normalized": score.leakage.normalized,
        f"{effort}/accuracy": score.accuracy.value,
        f"{effort}/accuracy_normalized": score.accuracy.normalized,
        f"{effort}/distortion": score.distortion,
        "job_seconds": report.seconds,
    }
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _measured(report: RungReport) -> Iterator[Event]:
    for point in report.curve:
        yield _scalars(point.step, {f"loss/{name}": value for name, value in point.terms.items()})
    yield _scalars(report.step, measured(report))


def _params(trial: Trial) -> Iterator[Event]:
    params = dict(trial.params) or {"method": trial.method}
    yield Event(summary=hparams_pb(params, trial_id=trial.id))
    rows = "".join(f"| {name} | {value} |\n" for name, value in sorted(params.items()))
    words = f"| param | value |\n|---|---|\n{rows}".encode()
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[words], tensor_shape=shape)
    value = Summary.Value(tag="params", tensor=tensor, metadata=create_summary_metadata("params", ""))
    yield Event(summary=Summary(value=[value]))


def _scalars(step: int, values: Mapping[str, float]) -> Event:
    found = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
    return Event(step=step, summary=Summary(value=found))
