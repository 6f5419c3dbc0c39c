"""The tutorial: its shell commands work in order, with a study and clips that are as small as can be."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anon_tune.clips import Clips

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]


def commands(clips: Path, tiny: dict[str, Any]) -> list[list[str]]:
    """Return the shell commands of the tutorial, with the study made tiny."""
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S) for line in block.splitlines()]
    sets = " ".join(f"--set {name}={value}" for name, value in tiny.items())
    small = {
        "--clips avatars": f"--clips {clips}",
        "--trials 16": f"--trials 1 --no-rungs --max-concurrent 1 --set evaluation.full.attackers=frame {sets}",
        "--leakage-at-most 0.75": "--trial 0000",
    }
    joined = "\n".join(lines)
    for old, new in small.items():
        assert joined.count(old) == 1
        joined = joined.replace(old, new)
    return [shlex.split(line) for line in joined.splitlines()]


def write_video(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(8))
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(8):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.usefixtures("shared_ray")
def test_the_commands_of_the_tutorial_work_in_order(
    avatars: Clips,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    say: Callable[..., Any],
    tiny_params: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("in.mp4"), 0)
    for seed, (person, take, action) in enumerate(product(("anna", "ben"), ("take1", "take2"), ("wave", "walk"))):
        write_video(Path("videos", person, take, f"{action}.mp4"), seed)
        write_video(Path("videos", person, f"{take}b", f"{action}.mp4"), 100 + seed)
    for program, *words in commands(avatars.directory, tiny_params):
        assert program == "anon-tune"
        said = say(*words)
        assert said.code == 0, (words, said.err)
    assert json.loads(Path("out.mp4.json").read_text())
    with av.open("look.mp4") as shown:
        assert (shown.streams.video[0].width, shown.streams.video[0].height) == (64, 32)
    assert Path("clips", "mine").is_dir() and Path("anonymizer.safetensors").stat().st_size
