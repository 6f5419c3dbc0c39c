"""Key points of a file reach the figure of the avatar: in a clip store that is imported, and in an anonymized video."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
import torch

from anon_tune.clips import Clips, make_avatars, open_clips
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.video.lossless import write_lossless
from anon_tune.video.reader import TimedFrame, VideoReader

Say = Callable[..., Any]
SIDE = 64
PATTERN = r"(?P<group>\w+-person-\d+)_(?P<action>[a-z-]+)_(?P<broad>\w+)_"
IMPORTED = [
    *("--pattern", PATTERN, "--action", "action", "--private", "broad", "--group", "group"),
    *("--test-groups", "test-person-0000", "--val-groups", "val-person-0000", "--num-frames", "3"),
    *("--size", "32x32", "--workers", "1"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    place = tmp_path_factory.mktemp("made") / "avatars"
    return make_avatars(place, num_train=4, num_val=4, num_test=4, num_frames=6, height=SIDE, width=SIDE)


@pytest.fixture(scope="module")
def videos(made: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the generated clips as videos, and their joints in Parquet."""
    folder = tmp_path_factory.mktemp("videos")
    rows: dict[str, list[Any]] = {"file": [], "frame": [], "keypoints": []}
    (folder / "in").mkdir()
    for entry, frames, points in zip(made.manifest.entries, made._frames, made._keypoints, strict=True):  # type: ignore[arg-type]
        file = f"{entry.group}_{entry.action}_{entry.private[4]}_{entry.id}.mp4"
        write_lossless(np.asarray(frames), folder / "in" / file, 25)
        for frame, (person,) in enumerate(points):
            rows["file"].append(file)
            rows["frame"].append(frame)
            rows["keypoints"].append((person * [SIDE, SIDE, 1] - [0.5, 0.5, 0]).ravel().tolist())
    pq.write_table(pa.table(rows), folder / "points.parquet")
    return folder


def test_an_import_keeps_key_points_and_the_avatar_moves_by_them(
    say: Say, made: Clips, videos: Path, tmp_path: Path
) -> None:
    options = [*IMPORTED, "-o", tmp_path / "store"]
    said = say("clips", "import", videos / "in", *options, "--keypoints", videos / "points.parquet")
    assert said.code == 0, said.err
    kept = open_clips(tmp_path / "store")
    for entry, points in zip(kept.manifest.entries, kept._keypoints, strict=True):  # type: ignore[arg-type]
        (row,) = (at for at, one in enumerate(made.manifest.entries) if one.id in entry.file)
        np.testing.assert_allclose(points, made._keypoints[row][[1, 3, 5]], atol=1e-5)  # type: ignore[index]
    said = say("clips", "import", videos / "in", *options[:-1], tmp_path / "other", "--keypoints", tmp_path / "no.json")
    assert said.code == 2
    assert "no.json: must be COCO JSON or Parquet with key points of people" in said.err
    assert not (tmp_path / "other").exists()


def test_videos_that_the_file_does_not_name_are_refused_or_told(
    say: Say, made: Clips, videos: Path, tmp_path: Path
) -> None:
    """Nothing but what moves is removed from a video of which no point is known: people who sit still stay visible."""
    named = sorted((videos / "in").glob("*.mp4"))[0]
    (tmp_path / "in").mkdir()
    for name in (named.name, "unnamed.mp4"):
        (tmp_path / "in" / name).write_bytes(named.read_bytes())
    given = ["anonymize", tmp_path / "in", "-o", tmp_path / "out", "--keypoints", videos / "points.parquet"]
    phrase = "points.parquet: holds no key points of 1 of 2 videos, such as 'unnamed.mp4'. "
    said = say(*given, "--method", "avatar:pose=keypoints")
    assert said.code == 2
    assert phrase + "Name videos by their path in the folder that is read, or write pose=any." in said.err
    assert not (tmp_path / "out").exists()
    said = say(*given, "--method", "avatar")
    assert said.code == 0, said.err
    assert phrase + "Silhouettes are used instead" in said.err
    reports = {
        name: json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in (named.name, "unnamed.mp4")
    }
    assert [one["anonymizer"]["keypoints"] for one in reports.values()] == [True, False]
    for one in reports.values():
        (limit,) = one["limits"]
        assert limit.startswith("The background is the mean of the frames.")


def test_an_import_tells_of_videos_that_the_file_does_not_name(say: Say, videos: Path, tmp_path: Path) -> None:
    rows = pq.read_table(videos / "points.parquet")
    lost = rows["file"][0].as_py()
    pq.write_table(rows.filter(pa.compute.not_equal(rows["file"], lost)), tmp_path / "some.parquet")
    options = [*IMPORTED, "-o", tmp_path / "store"]
    said = say("clips", "import", videos / "in", *options, "--keypoints", tmp_path / "some.parquet")
    assert said.code == 0, said.err
    assert f"some.parquet: holds no key points of 1 of 12 videos, such as '{lost}'." in said.err


def test_a_video_is_anonymized_by_its_key_points(say: Say, made: Clips, videos: Path, tmp_path: Path) -> None:
    entry, row = made.manifest.entries[0], made.split("train")
    (video,) = (videos / "in").glob(f"*_{entry.id}.mp4")
    given = ["anonymize", video, "-o", tmp_path / "out.mp4", "--method", "avatar", "--crf", "0", "--chunk", "6"]
    said = say(*given, "--keypoints", videos / "points.parquet")
    assert said.code == 0, said.err
    with VideoReader(tmp_path / "out.mp4", audio=False) as reader:
        out = np.stack([item.pixels for item in reader if isinstance(item, TimedFrame)])
    expected = build_anonymizer(make_recipe({"method": "avatar"}))(row.clips([0]), row.points_at([0]))[0]
    levels = (expected * 255).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(out - levels).mean() < 4  # half the colour, and integer colour conversion
    by_mask = build_anonymizer(make_recipe({"method": "avatar:pose=silhouette"}))(row.clips([0]))[0]
    assert np.abs((by_mask * 255).permute(0, 2, 3, 1).numpy() - levels).mean() > 8
    assert json.loads((tmp_path / "out.mp4.json").read_text())["anonymizer"]["keypoints"] is True
    assert not torch.equal(by_mask, expected)


@pytest.mark.parametrize(
    ("method", "with_file", "said"),
    [
        ("blur:4", True, "--keypoints: needs a method that moves figures by them, got blur:4. Use the method avatar."),
        (
            "avatar:pose=silhouette",
            True,
            "--keypoints: needs a method that moves figures by them, got avatar:pose=silhouette.",
        ),
        ("avatar:pose=keypoints", False, "needs key points, and there are none. Give them with --keypoints"),
    ],
)
def test_key_points_that_nobody_uses_or_brings_are_refused(
    say: Say, videos: Path, tmp_path: Path, method: str, with_file: bool, said: str
) -> None:
    video = next((videos / "in").glob("*.mp4"))
    file = ["--keypoints", videos / "points.parquet"] if with_file else []
    result = say("anonymize", video, "-o", tmp_path / "out.mp4", "--method", method, *file)
    assert result.code == 2
    assert said in result.err
    assert not list(tmp_path.iterdir())
