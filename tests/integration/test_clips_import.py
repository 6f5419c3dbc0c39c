import os
from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.clips import open_clips
from anon_tune.datasets import ImportResult, import_folder
from anon_tune.errors import DataError

PATTERN = r"^(?P<person>[a-z]+)(?P<take>\d)_(?P<action>[a-z]+)\.(mp4|mkv)$"
IXMAS = Path(os.environ.get("ANON_TUNE_IXMAS", Path(__file__).parents[2] / "../shared/data/ixmas"))


def write_video(path: Path, frames: np.ndarray, codec: str = "libx264", fps: int = 25) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=fps, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def grays(num_frames: int) -> np.ndarray:
    """Frame i is gray of level 4 i, on 48 rows and 64 columns."""
    levels = np.arange(num_frames, dtype=np.uint8) * 4
    return np.ascontiguousarray(np.broadcast_to(levels[:, None, None, None], (num_frames, 48, 64, 3)))


def noise(num_frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, 48, 64, 3), np.uint8)


def run(folder: Path, **changes: object) -> ImportResult:
    options = {"pattern": PATTERN, "action": "action", "private": ["person"], "group": "take", "test_groups": ["2"]}
    options |= {"num_frames": 4, "height": 12, "width": 16, "output": folder.with_name("store"), "val_fraction": 0.0}
    return import_folder(folder, **(options | changes))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for person in ("ann", "bob"):
        for take in (1, 2):
            for action in ("walk", "kick"):
                write_video(folder / f"{person}{take}_{action}.mp4", grays(20))
    return folder


def test_labels_frames_and_splits(folder: Path) -> None:
    (folder / "notes.txt").write_text("not matched")
    seen = []
    result = run(folder, progress=lambda done, total: seen.append((done, total)))
    clips = open_clips(folder.with_name("store"))
    assert (result.num_imported, result.bad, seen) == (8, (), [(at, 8) for at in range(1, 9)])
    assert (clips.actions, clips.attributes) == (("kick", "walk"), ("person=ann", "person=bob"))
    assert clips.fps == pytest.approx(25 * 4 / 20)
    train, test = clips.split("train"), clips.split("test")
    assert train.ids == ("ann1_kick.mp4", "ann1_walk.mp4", "bob1_kick.mp4", "bob1_walk.mp4")
    assert train.actions.tolist() == [0, 1, 0, 1]
    assert train.private.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert (set(train.groups), set(test.groups)) == ({"1"}, {"2"})
    # The middle frames of four stretches of five.
    levels = train.frames.astype(int)
    assert np.abs(levels - np.array([2, 7, 12, 17])[:, None, None, None] * 4).max() <= 1


def test_channels_rows_and_columns_survive(folder: Path) -> None:
    frames = np.zeros((6, 48, 64, 3), np.uint8)
    frames[:, :24, :32] = (250, 10, 10)
    frames[:, :24, 32:] = (10, 250, 10)
    frames[:, 24:, :32] = (10, 10, 250)
    write_video(folder / "ann1_walk.mp4", frames)
    clip = run(folder, height=8, width=4).clips.split("train").frames[1]
    for (rows, columns), colour in zip(
        [(slice(3), 0), (slice(3), 3), (slice(5, 8), 0), (slice(5, 8), 3)],
        [(250, 10, 10), (10, 250, 10), (10, 10, 250), (0, 0, 0)],
        strict=True,
    ):
        assert np.abs(clip[:, rows, columns].astype(int) - colour).max() <= 8


def test_shrinking_averages(folder: Path) -> None:
    frames = np.zeros((6, 48, 64, 3), np.uint8)
    frames[:, :, ::2] = 200
    write_video(folder / "ann1_walk.mp4", frames)
    clip = run(folder).clips.split("train").frames[1]
    assert np.abs(clip.astype(int) - 100).max() <= 3


def test_a_turned_video_is_set_upright(folder: Path) -> None:
    frames = np.zeros((6, 48, 64, 3), np.uint8)
    frames[:, :, :16] = 240  # bright on the left as stored
    path = folder / "ann1_walk.mp4"
    write_video(path, frames)
    data = bytearray(path.read_bytes())
    one, unit = (1 << 16).to_bytes(4, "big"), (1 << 30).to_bytes(4, "big")
    at = data.index(one + bytes(12) + one + bytes(12) + unit, data.index(b"tkhd"))
    minus = (-(1 << 16)).to_bytes(4, "big", signed=True)
    data[at : at + 36] = bytes(4) + one + bytes(4) + minus + bytes(16) + unit  # to be shown turned clockwise
    path.write_bytes(data)
    clip = run(folder, height=16, width=12).clips.split("train").frames[1]
    assert (clip[:, :3] > 200).all()
    assert (clip[:, 5:] < 20).all()


def test_a_short_video_repeats_its_frames(folder: Path) -> None:
    write_video(folder / "ann1_walk.mp4", grays(1) + np.uint8(100))
    write_video(folder / "bob1_walk.mp4", grays(2) + np.uint8(100))
    frames = run(folder).clips.split("train").frames
    assert np.abs(frames[1].astype(int) - 100).max() <= 1
    assert np.abs(frames[3].astype(int) - np.array([100, 100, 104, 104])[:, None, None, None]).max() <= 1


def test_bad_files_are_named_and_the_rest_is_imported(folder: Path) -> None:
    (folder / "cat1_walk.mp4").write_bytes(b"")
    (folder / "dan1_walk.mp4").write_text("hello\n" * 100)
    write_video(folder / "eve1_walk.mp4", noise(50))
    write_video(folder / "fay1_walk.mkv", noise(50))
    for name in ("eve1_walk.mp4", "fay1_walk.mkv"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    with av.open(str(folder / "gil1_walk.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())

    result = run(folder)
    assert result.num_imported == result.clips.num_clips == 8
    bad = {one.file: one for one in result.bad}
    assert list(bad) == ["cat1_walk.mp4", "dan1_walk.mp4", "eve1_walk.mp4", "fay1_walk.mkv", "gil1_walk.mp4"]
    assert bad["cat1_walk.mp4"].frame == bad["dan1_walk.mp4"].frame == 0
    assert bad["cat1_walk.mp4"].reason == "an empty file"
    assert "Invalid data" in bad["dan1_walk.mp4"].reason
    assert 20 <= bad["eve1_walk.mp4"].frame <= 25
    assert 20 <= bad["fay1_walk.mkv"].frame <= 25
    assert "stops after 1.0 of 2.0 seconds" in bad["fay1_walk.mkv"].reason
    assert bad["gil1_walk.mp4"].reason == "no video stream"
    assert not any("\n" in one.reason for one in result.bad)
    # Attributes of people who have no clip left would be constant, and so are left out.
    assert result.clips.attributes == ("person=ann", "person=bob")


def test_nothing_is_stored_when_a_split_has_no_good_file(folder: Path) -> None:
    for path in folder.glob("*2_*.mp4"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no file of the test split can be decoded: ann2_kick\.mp4: an empty"):
        run(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["videos"]


@pytest.mark.parametrize(
    ("lost", "message"),
    [("bob*", "every private label has only one value left"), ("*kick.mp4", "only one action class is left")],
)
def test_too_little_left_to_study(folder: Path, lost: str, message: str) -> None:
    for path in folder.glob(lost):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=message):
        run(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["videos"]


def test_an_existing_store_is_kept_unless_forced(folder: Path) -> None:
    run(folder)
    with pytest.raises(DataError, match="already exists"):
        run(folder)
    assert run(folder, force=True, num_frames=2).clips.shape == (2, 12, 16, 3)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a folder of videos"):
        run(tmp_path / "nowhere")


@pytest.mark.skipif(not IXMAS.is_dir(), reason="the IXMAS clips are not here; set ANON_TUNE_IXMAS to their folder")
def test_real_clips(tmp_path: Path) -> None:
    pattern = r"(?P<person>[a-z]+)(?P<take>\d)_\d+_(?P<action>.+)_cam(?P<view>\d)\.mp4"
    result = import_folder(IXMAS, pattern, "action", ["person"], "take", ["2"], 16, 48, 64, tmp_path / "ixmas")
    assert (result.num_imported, result.bad) == (240, ())
    clips = result.clips
    assert clips.actions == ("check-watch", "get-up", "kick", "point", "sit-down", "walk")
    assert len(clips.attributes) == 10
    assert clips.shape == (16, 48, 64, 3)
    train, val, test = (clips.split(name) for name in ("train", "val", "test"))
    assert [len(s) for s in (train, val, test)] == [102, 18, 120]
    assert set(train.groups) == set(val.groups) == {"1"}
    assert set(test.groups) == {"2"}
    assert all(s.private.any(axis=0).all() for s in (train, val, test))
    assert (train.frames.reshape(len(train), -1).std(axis=1) > 5).all()
    moved = np.abs(np.diff(train.frames.astype(int), axis=1)).max(axis=(1, 2, 3, 4))
    assert (moved > 10).all()
