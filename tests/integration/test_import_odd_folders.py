"""Folders that hold more than videos are imported and audited as they are anonymized."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.clips import open_clips
from anon_tune.datasets import import_pair
from anon_tune.datasets.decode import ClipForm

PATTERN = r"(?P<person>[a-z]+)(?P<take>\d)_(?P<action>[a-z]+)_"
WORDS = ("--pattern", PATTERN, "--action", "action", "--private", "person", "--group", "take", "--test-groups", "2")
WORDS += ("--num-frames", "2", "--size", "6x8", "--workers", "1")
Say = Callable[..., tuple[int, str, str]]


def write_video(path: Path, level: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for _ in range(4):
            picture = np.full((24, 32, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 videos of two persons, two actions and two takes; each is of another gray."""
    folder = tmp_path / "videos"
    folder.mkdir()
    names = [f"{p}{t}_{a}_{n}.mp4" for p in ("ann", "bob") for a in ("walk", "kick") for t in (1, 2) for n in range(3)]
    for level, name in enumerate(names):
        write_video(folder / name, 10 * level)
    return folder


def splits(store: Path) -> dict[str, str]:
    return {entry.id: entry.split for entry in open_clips(store).manifest.entries}


def test_side_files_and_hidden_files_change_nothing(folder: Path, tmp_path: Path, say: Say) -> None:
    assert say("clips", "import", folder, *WORDS, "-o", tmp_path / "clean")[0] == 0
    (folder / "__MACOSX").mkdir()
    for name in ("._ann1_walk_0.mp4", "__MACOSX/ann1_walk_0.mp4", ".DS_Store"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    for path in sorted(folder.glob("*.mp4")):
        path.with_name(f"{path.name}.json").write_text("{}")
    (folder / "ann1_walk_0.srt").write_text("1")
    (folder / "ann1_walk_0.jpg").write_text("a thumbnail")
    code, out, err = say("clips", "import", folder, *WORDS, "-o", tmp_path / "store")
    assert code == 0
    assert out.startswith(f"{tmp_path}/store: 24 clips of ")
    assert err == f"{folder}: 2 files do not have the suffix of a video: .jpg 1, .srt 1. They are left out.\n"
    assert open_clips(tmp_path / "store").fingerprint == open_clips(tmp_path / "clean").fingerprint


def test_files_that_do_not_decode_take_no_part_in_the_split(folder: Path, tmp_path: Path, say: Say) -> None:
    bad = ["ann1_kick_0.mp4", "ann1_walk_1.mp4", "bob1_kick_2.mp4", "bob2_walk_0.mp4"]
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    for name in bad:
        (folder / name).write_text("no video")
        (kept / name).unlink()
    code, _, err = say("clips", "import", folder, *WORDS, "-o", tmp_path / "store", "--skip-bad")
    assert (code, err.count("cannot be used (at frame 0)")) == (0, 4)
    assert say("clips", "import", kept, *WORDS, "-o", tmp_path / "expected")[0] == 0
    assert splits(tmp_path / "store") == splits(tmp_path / "expected")
    assert set(splits(tmp_path / "store").values()) == {"train", "val", "test"}
    assert open_clips(tmp_path / "store").fingerprint == open_clips(tmp_path / "expected").fingerprint
    for split in ("train", "val", "test"):
        one, other = (open_clips(tmp_path / name).split(split) for name in ("store", "expected"))
        assert one.ids == other.ids
        assert np.array_equal(one.frames, other.frames)


def test_folders_that_are_linked_are_followed_and_loops_end(folder: Path, tmp_path: Path, say: Say) -> None:
    (tmp_path / "far").mkdir()
    shutil.move(folder / "ann1_walk_0.mp4", tmp_path / "far")
    (folder / "linked").symlink_to(tmp_path / "far")
    (folder / "twice").symlink_to(tmp_path / "far")
    (folder / "loop").symlink_to(folder)
    for name, target in (("ann1_walk_8.mp4", "ann1_walk_8.mp4"), ("ann1_walk_9.mp4", "gone.mp4")):
        (folder / name).symlink_to(target)
    (folder / "above").symlink_to(tmp_path)
    assert say("clips", "import", folder, *WORDS, "-o", tmp_path / "store")[0] == 0
    assert len(splits(tmp_path / "store")) == 24
    assert "linked/ann1_walk_0.mp4" in splits(tmp_path / "store")


def test_a_name_that_is_not_utf_8_is_refused_before_anything_is_decoded(folder: Path, tmp_path: Path, say: Say) -> None:
    shutil.copy(folder / "ann1_walk_0.mp4", folder / os.fsdecode(b"jos\xe91_walk_0.mp4"))
    pattern = PATTERN.replace("[a-z]+)(?P<take>", "[^_]+)(?P<take>")
    code, out, err = say("clips", "import", folder, *WORDS, "--pattern", pattern, "-o", tmp_path / "store")
    assert (code, out) == (2, "")
    assert err == f"error: {folder}/jos\\xe91_walk_0.mp4: its name must be UTF-8. Rename the file.\n"


def test_a_store_whose_name_is_not_utf_8_is_refused_before_anything_is_decoded(
    folder: Path, tmp_path: Path, say: Say
) -> None:
    store = tmp_path / os.fsdecode(b"caf\xe9")
    said = f"error: {tmp_path}/caf\\xe9: its path must be UTF-8. Rename the folder.\n"
    assert say("clips", "import", folder, *WORDS, "-o", store) == (2, "", said)
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]
    assert say("clips", "import", folder, *WORDS, "-o", tmp_path / "store")[0] == 0
    (tmp_path / "store").rename(store)
    assert say("clips", "info", store) == (2, "", said)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [("", "", "column 1 must have a name"), ("number", "", "column 'number' must repeat its values")],
)
def test_an_index_column_is_refused(
    folder: Path, tmp_path: Path, say: Say, column: str, cell: str, message: str
) -> None:
    rows = [f"{column},file,split,group,action,person"]
    for at, path in enumerate(sorted(folder.iterdir())):
        person, take, action = path.name[:3], path.name[3], path.name[5:9]
        rows.append(f"{at},{path.name},{'train' if take == '1' else 'test'},{take},{action},{person}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(rows))
    words = ("clips", "import", "csv", "--root", folder, "--labels", labels, "--num-frames", "2", "--size", "6x8")
    code, out, err = say(*words, "-o", tmp_path / "store")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {labels}: {message}")
    labels.write_text("\n".join(row.partition(",")[2] for row in rows))
    code, out, _ = say(*words, "-o", tmp_path / "store")
    assert code == 0
    assert out.startswith(f"{tmp_path}/store: 24 clips of ")  # before what was found and published
    assert "\nvideos     24         24\n" in out


def test_our_own_reports_are_no_anonymized_files(folder: Path, tmp_path: Path) -> None:
    anonymized = tmp_path / "anonymized"
    shutil.copytree(folder, anonymized)
    for path in sorted(anonymized.iterdir()):
        path.with_name(f"{path.name}.json").write_text("{}")
    (anonymized / "._ann1_walk_0.mp4").write_bytes(b"\x00")
    (folder / "ann1_walk_0.mp4").write_text("no video")
    form = ClipForm(2, 6, 8)
    pair = import_pair(
        folder, anonymized, PATTERN, "action", ["person"], "take", ["2"], form, tmp_path / "out", skip_bad=True
    )
    assert [one.file for one in pair.bad] == [str(folder / "ann1_walk_0.mp4")]
    assert (pair.original.num_clips, pair.anonymized.num_clips) == (23, 23)
    for split in ("train", "val", "test"):
        one, other = pair.original.split(split), pair.anonymized.split(split)
        assert one.ids == other.ids
        assert np.array_equal(one.frames, other.frames)
