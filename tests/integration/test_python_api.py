"""The Python interface: the example of its page, and what a notebook shows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import optuna
import pandas as pd
import pytest
import torch

import anon_tune
from anon_tune.cli import anonymize, audit, study
from anon_tune.errors import StudyError, UsageError
from anon_tune.search import SearchSpace
from anon_tune.search.callers_sampler import check_sampler

ROOT = Path(__file__).parents[2]


def test_a_study_is_opened_and_looked_at(small_study: Path) -> None:
    study = anon_tune.open_study(small_study)
    table = study.to_pandas()
    assert (
        {trial.id for trial in study.trials}
        == {*table.index}
        == {"identity", "black-out", *map("{:04}".format, range(4))}
    )
    assert table.loc["0001", "penalty.weight"] == 5.0 and pd.isna(table.loc["0003", "accuracy"])
    front = study.front
    said, page = repr(front), front._repr_html_()
    for trial in front.members:
        assert f"\n{trial.id}" in said and f"<td>{trial.id}</td>" in page
    assert f"hypervolume {front.hypervolume:.4f}" in said and page.count("<circle") == len(front.trials)
    with pytest.raises(StudyError, match="Give the directory that 'study --out' wrote"):
        anon_tune.open_study(small_study / "none")


def test_an_anonymizer_takes_a_clip_and_a_batch(small_study: Path, tmp_path: Path) -> None:
    file = anon_tune.open_study(small_study).export(tmp_path / "a.safetensors", trial="0001")
    anonymizer = anon_tune.load_anonymizer(file)
    clips = torch.rand(2, 4, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    changed = anonymizer(clips)
    assert changed.shape == clips.shape and changed.min() >= 0 and changed.max() <= 1
    torch.testing.assert_close(anonymizer(clips[1]), changed[1])


def test_a_video_is_anonymized(tmp_path: Path) -> None:
    video = tmp_path / "walk.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = 48, 64
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 200, np.uint8))))
        container.mux(stream.encode())
    made = tmp_path / "hidden.mp4"
    assert anon_tune.anonymize(str(video), output=str(made), method="black-out") == [made]
    with av.open(str(made)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 3 and np.max(frames) < 10
    with pytest.raises(StudyError, match="no study there"):
        anon_tune.anonymize([video], output=made, study=str(tmp_path / "nowhere"), trial="0000")


def test_a_sampler_that_cannot_propose_is_one_line() -> None:
    space = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "x.toml")
    sampler = optuna.samplers.NSGAIISampler(seed=0)
    assert check_sampler(sampler, space) is sampler
    with pytest.raises(UsageError, match="CmaEsSampler cannot propose a trial"):
        check_sampler(optuna.samplers.CmaEsSampler(), space)
    with pytest.raises(UsageError, match="must be a name, or an instance of"):
        check_sampler(object(), space)


@pytest.mark.parametrize(
    ("function", "verb", "printed"),
    [
        (anon_tune.run_study, study.study, set()),
        (anon_tune.audit, audit.audit, {"format"}),
        (anon_tune.anonymize, anonymize.anonymize, set()),
    ],
)
def test_a_function_takes_every_option_of_its_verb(
    function: Callable[..., Any], verb: Callable[..., None], printed: set[str]
) -> None:
    ours, options = inspect.signature(function).parameters, inspect.signature(verb).parameters
    names = {"set_": "set", "package": "packages"}  # as Python has a set, and a list has a plural
    expected = {names.get(name, name) for name in options} - printed
    assert {name for name in ours if not name.startswith("on_")} == expected


def test_the_readme_has_an_example_of_ten_lines() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 10


def example() -> str:
    """Return the Python code of docs/python.md."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.S)
    return str(code)
