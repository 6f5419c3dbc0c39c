"""The package of docs/add-a-method.md keeps the contract, and every command takes its methods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.certificate import Certificate
from anon_tune.clips import Clips

pytestmark = pytest.mark.trains
Run = Callable[..., str]


@pytest.fixture
def run(example_installed: Path, tmp_path: Path) -> Run:
    """Run Python in an empty folder, with the page's package installed, and return its output."""

    def call(*words: object, codes: tuple[int, ...] = (0,)) -> str:
        known = os.environ | {"PYTHONPATH": f"{example_installed}:{Path(__file__).parents[2]}"}
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, env=known, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode in codes, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    return call


def test_the_package_passes_the_conformance_suite_of_the_page(run: Run, example_package: Path) -> None:
    run("-m", "pytest", "-p", "no:cacheprovider", example_package / "test_example_anonymizers.py")


def test_a_video_is_darkened_by_name(run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv444p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 200, np.uint8))))
        container.mux(stream.encode())
    run("-m", "anon_tune", "anonymize", source, "-o", target, "--method", "halve:0.25")
    with av.open(str(target)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5
    assert all(abs(frame.astype(float) - 50).max() <= 4 for frame in frames)


def test_an_audit_takes_it_by_name(run: Run, avatars: Clips, tmp_path: Path) -> None:
    effort = {
        "max_steps": 8,
        "check_steps": 4,
        "patience": 1,
        "num_seeds": 1,
        "classifier_steps": 8,
        "reconstruction_steps": 4,
        "num_bootstraps": 10,
        "width": 4,
        "attackers": "frame,pixels",
    }
    sets = [part for name, value in effort.items() for part in ("--set", f"{name}={value}")]
    where = ("--clips", avatars.directory, "--cache", tmp_path / "cache", "--format", "json")
    said = run("-m", "anon_tune", "audit", "--method", "halve:0.25", *where, *sets, codes=(0, 1))  # 1: refused
    certificate = Certificate.model_validate_json(said)
    assert certificate.status and "halve:0.25" in said
    assert 0 <= json.loads(said)["leakage"] <= 1
