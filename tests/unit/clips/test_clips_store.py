import hashlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anon_tune.clips import Clips, open_clips
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import DataError, UsageError


def test_what_was_stored_is_read_back(coded_clips: Clips) -> None:
    clips = open_clips(coded_clips.directory)
    assert clips.actions == ("action-0", "action-1", "action-2")
    assert clips.attributes == ("even", "low")
    assert clips.shape == (3, 5, 7, 3)
    assert (clips.fps, clips.num_clips) == (5.0, 10)
    test = clips.split("test")
    assert len(test) == 2
    assert test.ids == ("clip-8", "clip-9")
    assert test.groups == ("group-8", "group-9")
    assert test.actions.tolist() == [2, 0]
    assert test.private.tolist() == [[1, 1], [0, 1]]


def test_pixels_keep_frame_channel_row_and_column(coded_clips: Clips) -> None:
    batch = coded_clips.split("val").clips([1, 0])
    assert batch.shape == (2, 3, 3, 5, 7)
    b, t, c, h, w = np.indices((2, 3, 3, 5, 7))
    expected = ((7 - b) * 97 + t * 53 + h * 7 + w * 3 + c * 101) % 251
    assert np.array_equal(np.rint(batch.numpy() * 255), expected)
    assert batch.is_contiguous()


def test_frames_are_mapped_not_copied(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    assert isinstance(train.frames, np.memmap)
    assert np.shares_memory(train.frames, coded_clips.split("train").frames)
    with pytest.raises(ValueError, match="read-only"):
        train.frames[0, 0, 0, 0, 0] = 1


def test_pickled_clips_carry_no_frames(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "big", (2, 200, 200, 3)) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((2, 200, 200, 3), np.uint8))
        clips = writer.finish(["p"], 1.0, "test")
    data = pickle.dumps(clips)
    assert len(data) < 1000
    assert pickle.loads(data).fingerprint == clips.fingerprint


def test_manifest_is_plain_parquet(coded_clips: Clips) -> None:
    table = pd.read_parquet(coded_clips.directory / "manifest.parquet")
    expected = {"id", "file", "split", "group", "action", "content_hash", "row", "private.even", "private.low"}
    assert set(table.columns) == expected
    frames = np.load(coded_clips.directory / "frames.npy")
    hashes = [hashlib.sha256(frames[row].tobytes()).hexdigest() for row in table["row"]]
    assert table["content_hash"].tolist() == hashes


def test_fingerprint_sees_frames_and_labels(tmp_path: Path) -> None:
    def fingerprint(name: str, pixel: int = 0, action: str = "walk", split: str = "train") -> str:
        with StoreWriter(tmp_path / name, (1, 2, 2, 3)) as writer:
            writer.add(Labels("a", "", split, "g", action, (True,)), np.full((1, 2, 2, 3), pixel, np.uint8))
            return writer.finish(["p"], 1.0, name).fingerprint

    prints = [fingerprint("0"), fingerprint("1", 1), fingerprint("2", 0, "run"), fingerprint("3", split="val")]
    assert len(set(prints)) == 4
    assert fingerprint("4") == prints[0]


def test_an_existing_directory_is_kept_unless_forced(coded_clips: Clips) -> None:
    with pytest.raises(DataError, match="already exists"):
        StoreWriter(coded_clips.directory, (1, 2, 2, 3))
    with StoreWriter(coded_clips.directory, (1, 2, 2, 3), force=True) as writer:
        assert open_clips(coded_clips.directory).num_clips == 10
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((1, 2, 2, 3), np.uint8))
        writer.finish(["p"], 1.0, "forced")
    assert open_clips(coded_clips.directory).num_clips == 1


@pytest.mark.parametrize("keeps", [True, False])
def test_what_an_interrupted_writer_wrote_is_kept_only_where_it_was_told_to_write(tmp_path: Path, keeps: bool) -> None:
    labels, frames = Labels("a", "", "train", "g", "walk", (True,)), np.full((1, 2, 2, 3), 7, np.uint8)
    hidden = tmp_path / ".store.part"
    with (
        pytest.raises(KeyboardInterrupt),
        StoreWriter(tmp_path / "store", frames.shape, hidden=hidden if keeps else None) as writer,
    ):
        written = writer.add(labels, frames)
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == [".store.part"] * keeps
    with StoreWriter(tmp_path / "store", frames.shape, hidden=hidden) as writer:
        assert writer.restore(labels, written, (0, 0)) == keeps


def test_force_replaces_nothing_but_a_clip_store(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="exists and is no clip store"):
        StoreWriter(tmp_path, (1, 2, 2, 3), force=True)
    assert (tmp_path / "mine").is_dir()


def test_a_link_is_not_replaced(coded_clips: Clips, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(coded_clips.directory)
    with pytest.raises(DataError, match=r"link: is a link, which is not replaced\. Name the directory it leads to\."):
        StoreWriter(link, (1, 2, 2, 3), force=True)
    assert open_clips(link).num_clips == 10


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_a_path_without_a_name_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="must end in the name of a directory"):
        StoreWriter(path, (1, 2, 2, 3), force=True)


def test_a_store_is_removed_only_when_its_successor_is_in_place(
    coded_clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self == writer.hidden:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    with StoreWriter(coded_clips.directory, (1, 2, 2, 3), force=True) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((1, 2, 2, 3), np.uint8))
        monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="No space left"):
            writer.finish(["p"], 1.0, "forced")
    assert open_clips(coded_clips.directory).num_clips == 10
    assert [path.name for path in coded_clips.directory.parent.iterdir()] == [coded_clips.directory.name]


@pytest.mark.parametrize(
    ("shape", "got"),
    [
        ((16, 1_000_000, 1_000_000, 3), "16 frames of 1000000x1000000 pixels"),
        ((1, 16_385, 1, 3), "1 frames of 16385x1 pixels"),
    ],
)
def test_clips_that_no_memory_holds_are_refused(tmp_path: Path, shape: tuple[int, int, int, int], got: str) -> None:
    with pytest.raises(UsageError, match=rf"^--size: a clip must have at most .*, got {got}\. Choose"):
        StoreWriter(tmp_path / "large", shape)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x: cannot be written: File name too long\. Name another directory\.$"):
        StoreWriter(tmp_path / ("x" * 256), (1, 2, 2, 3))


@pytest.mark.parametrize("force", [False, True])
def test_what_came_to_be_at_the_place_of_a_store_meanwhile_is_kept(tmp_path: Path, force: bool) -> None:
    place = tmp_path / "mine"
    with StoreWriter(place, (1, 2, 2, 3), force) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((1, 2, 2, 3), np.uint8))
        place.mkdir()
        (place / "notes.txt").write_text("of somebody")
        with pytest.raises(DataError, match="exists and is no clip store" if force else "already exists"):
            writer.finish(["p"], 1.0, "test")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), StoreWriter(tmp_path / "half", (1, 2, 2, 3)) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((1, 2, 2, 3), np.uint8))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Labels("a", "", "train", "h", "walk", (True,)), "clip ids must be unique"),
        (Labels("b", "", "test", "g", "walk", (True,)), "no group may be in test and in another split, got g"),
        (Labels("b", "", "dev", "h", "walk", (True,)), "a split must be one of train, val, test, got dev"),
    ],
)
def test_a_broken_manifest_is_not_written(tmp_path: Path, second: Labels, message: str) -> None:
    frames = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(DataError, match=message), StoreWriter(tmp_path / "bad", frames.shape) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), frames)
        writer.add(second, frames)
        writer.finish(["p"], 1.0, "test")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "one", (1, 2, 2, 3)) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((1, 2, 2, 3), np.uint8))
        clips = writer.finish(["p"], 1.0, "test")
    with pytest.raises(DataError, match="split 'val' has no clips"):
        clips.split("val")
    with pytest.raises(DataError, match=r"unknown split 'tset'\. Did you mean 'test'\?"):
        clips.split("tset")


def _edit_manifest(directory: Path, edit: object) -> None:
    path = directory / "manifest.parquet"
    pq.write_table(edit(pq.read_table(path)), path)  # type: ignore[operator]


DAMAGES = {
    "no manifest": (lambda d: (d / "manifest.parquet").unlink(), "must hold 'manifest.parquet'"),
    "no frames": (lambda d: (d / "frames.npy").unlink(), "must hold 'frames.npy'"),
    "no store": (lambda d: shutil.rmtree(d), "must hold 'manifest.parquet'"),
    "text manifest": (lambda d: (d / "manifest.parquet").write_text("x"), "not a Parquet file"),
    "foreign table": (lambda d: pq.write_table(pa.table({"a": [1]}), d / "manifest.parquet"), "of version 1"),
    "no action": (lambda d: _edit_manifest(d, lambda t: t.drop(["action"])), "needs a column 'action'"),
    "text rows": (
        lambda d: _edit_manifest(
            d, lambda t: t.set_column(t.column_names.index("row"), "row", pa.array(["0"] * t.num_rows))
        ),
        "needs a column 'row' of type int64",
    ),
    "fewer clips": (lambda d: _edit_manifest(d, lambda t: t.slice(0, 9)), "requires uint8 frames of shape"),
    "later clips": (lambda d: _edit_manifest(d, lambda t: t.slice(1)), "must number the clips from 0"),
    "cut frames": (lambda d: (d / "frames.npy").write_bytes((d / "frames.npy").read_bytes()[:-9]), "not a complete"),
    "more than frames": (lambda d: (d / "frames.npy").open("ab").write(b"x"), "holds more than its frames"),
    "no array": (lambda d: (d / "frames.npy").write_bytes(b""), "not a complete"),
    "wrong type": (lambda d: np.save(d / "frames.npy", np.zeros((10, 3, 5, 7, 3), np.float32)), "got float32"),
    "other frames": (lambda d: np.save(d / "frames.npy", np.zeros((10, 3, 5, 7, 3), np.uint8)), "not those of"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_in_one_line(coded_clips: Clips, damage: str) -> None:
    harm, message = DAMAGES[damage]
    harm(coded_clips.directory)
    with pytest.raises(DataError, match=message) as caught:
        open_clips(coded_clips.directory)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(coded_clips.directory))


def test_opening_clips_does_not_load_torch(coded_clips: Clips) -> None:
    code = f"import sys, anon_tune.clips as c; c.open_clips({str(coded_clips.directory)!r}).split('train')"
    subprocess.run([sys.executable, "-c", code + "; assert 'torch' not in sys.modules"], check=True)
