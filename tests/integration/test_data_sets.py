"""Whole imports of data sets by the command line: real label files, with small videos under the right names."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.clips import open_clips
from anon_tune.datasets.readers import DATA_SETS, Listing, import_listing, read_data_set
from anon_tune.datasets.readers.hmdb51 import read_lists
from anon_tune.datasets.readers.label_files import LabelFolder

LABELS = Path(__file__).parents[2] / "../shared/data/annotations"
IXMAS = Path(os.environ.get("ANON_TUNE_IXMAS", Path(__file__).parents[2] / "../shared/data/ixmas"))
real_labels = pytest.mark.skipif(not LABELS.is_dir(), reason="the real label files are not here")

Said = tuple[int, str, str]
Say = Callable[..., Said]


def write_video(path: Path, num_frames: int = 20, level: int = 100) -> None:
    """Write gray frames of 32 rows and 48 columns, each 2 brighter than the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for at in range(num_frames):
            image = np.full((32, 48, 3), level + 2 * at, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def write_still(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuvj420p"
        image = av.VideoFrame.from_ndarray(np.full((32, 48, 3), level, np.uint8), format="rgb24")
        container.mux(stream.encode(image))
        container.mux(stream.encode())


def complete(root: Path, listing: Listing, suffix: str, content: bytes = b"") -> None:
    """Put a file under the name of every sample."""
    for one in listing.samples:
        path = (root / one.id).with_suffix(suffix)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def counts(listing: Listing) -> list[tuple[str, int, int | None]]:
    return [(count.what, count.found, count.published) for count in listing.counts]


@real_labels
@pytest.mark.parametrize(
    ("name", "suffix", "published"),
    [
        ("hmdb51", ".avi", [6_766, 3_570, 1_530]),
        ("vp-ucf101", ".avi", [13_320, 9_537, 3_783]),
        ("vispr", ".jpg", [10_000, 8_000, 10_000, 8_000]),
    ],
)
def test_full_lists_give_the_published_counts(tmp_path: Path, name: str, suffix: str, published: list[int]) -> None:
    nothing = read_data_set(name, tmp_path, LABELS)
    assert [number for _, _, number in counts(nothing)] == published
    assert [found for _, found, _ in counts(nothing)] == [*published[:-2], 0, 0]
    complete(tmp_path, nothing, suffix)
    everything = read_data_set(name, tmp_path, LABELS)
    assert [found for _, found, _ in counts(everything)] == published
    assert all(one.file for one in everything.samples)


@real_labels
@pytest.mark.parametrize(("split", "train", "test"), [(1, 9_537, 3_783), (2, 9_586, 3_734), (3, 9_624, 3_696)])
def test_groups_give_the_published_splits_of_ucf101(tmp_path: Path, split: int, train: int, test: int) -> None:
    listing = read_data_set("vp-ucf101", tmp_path, LABELS, split=split)
    assert Counter(one.split for one in listing.samples) == {"train": train, "test": test}
    assert len({one.action for one in listing.samples}) == 101


@pytest.mark.skipif(not IXMAS.is_dir(), reason="no IXMAS clips; ANON_TUNE_IXMAS may name their folder")
def test_ixmas_is_read_off_its_names() -> None:
    listing = read_data_set("ixmas", IXMAS)
    assert counts(listing) == [("videos", 240, None), ("training videos", 120, None), ("test videos", 120, None)]
    assert len(listing.attributes) == 10
    assert len({one.action for one in listing.samples}) == 6


@real_labels
def test_the_515_videos_of_pa_hmdb51_are_never_trained_on(tmp_path: Path) -> None:
    listing = read_data_set("pa-hmdb51", tmp_path, LABELS, num_frames=2)
    lists = {one.id: one.split for one in read_lists(LabelFolder(LABELS / "hmdb51_splits"), 1)}
    test = {one.id for one in listing.samples if one.split == "test"}
    # Sources that HMDB51's own training split shares with the test split.
    assert sum(lists[video] == "train" for video in test) == 286
    write_video(tmp_path / "small.avi", num_frames=4)
    complete(tmp_path, listing, ".avi", (tmp_path / "small.avi").read_bytes())
    listing = read_data_set("pa-hmdb51", tmp_path, LABELS, num_frames=2)
    assert counts(listing) == [
        ("labelled test videos", 515, 515),
        ("labelled test frames", 52_533, 52_533),
        ("training videos", 2_550, 2_550),
        ("test videos", 515, 515),
    ]

    clips = import_listing(listing, 8, 12, tmp_path / "store").clips
    splits = {name: clips.split(name) for name in ("train", "val", "test")}
    assert [len(split) for split in splits.values()] == [2_168, 382, 515]
    assert set(splits["test"].ids) == test
    assert all(lists[video] == "train" for name in ("train", "val") for video in splits[name].ids)
    for name in ("train", "val"):
        assert not set(splits[name].ids) & test
        assert not set(splits[name].groups) & set(splits["test"].groups)
    assert clips.attributes == ("skin_color", "face", "gender", "nudity", "relationship")
    assert len(clips.actions) == 51


@real_labels
def test_a_missing_video_of_a_full_list_is_named(tmp_path: Path, say: Say) -> None:
    listing = read_data_set("vp-hmdb51", tmp_path, LABELS)
    lost = next(one.id for one in listing.samples if one.split == "test")
    complete(tmp_path, listing, ".mp4")
    (tmp_path / lost).with_suffix(".mp4").unlink()
    code, out, err = say("clips", "import", "vp-hmdb51", "--root", tmp_path, "--labels", LABELS, "-o", tmp_path / "s")
    assert code == 2
    assert [line.split() for line in out.splitlines()] == [
        ["found", "published"],
        ["listed", "videos", "6,766", "6,766"],
        ["labelled", "videos", "6,766", "6,766"],
        ["training", "videos", "3,570", "3,570"],
        ["test", "videos", "1,529", "1,530"],
    ]
    rule = rf"must hold all 5,100 files that the labels name, got 5,099 of them, without '{re.escape(lost)}'\."
    assert re.fullmatch(
        rf"error: {tmp_path}: {rule} Add the missing files, or import the others with --partial\.\n", err
    )


@pytest.fixture
def ucf101(tmp_path: Path) -> Path:
    root = tmp_path / "ucf101"
    missing = {"train": "Archery/v_Archery_g08_c02.avi", "test": "Biking/v_Biking_g07_c01.avi"}
    for split, groups in (("train", (8, 9)), ("test", (1,))):
        names = [f"{action}/v_{action}_g{group:02}_c01.avi" for action in ("Archery", "Biking") for group in groups]
        for name in names:
            write_video(root / name)
        (root / f"{split}list01.txt").write_text("\n".join([*names, missing[split]]))
    return root


@pytest.fixture
def import_ucf101(ucf101: Path, say: Say) -> Say:
    def call(*words: str) -> Said:
        sizes = ("--num-frames", "4", "--size", "8x12", "--val-fraction", "0.25")
        return say("clips", "import", "ucf101", "--root", ucf101, "-o", ucf101.with_name("store"), *sizes, *words)

    return call


def test_what_is_there_is_imported_by_option(ucf101: Path, import_ucf101: Say) -> None:
    code, out, err = import_ucf101()
    assert (code, err.count("\n")) == (2, 1)
    assert "must hold all 8 files that the labels name, got 6 of them, without 'Archery/v_Archery_g08_c02.avi'" in err
    assert not ucf101.with_name("store").exists()
    code, out, err = import_ucf101("--partial")
    assert (code, err) == (0, "")
    assert "listed videos        8     13,320\n" in out
    assert "splits: train 3, val 1, test 2" in out
    test = open_clips(ucf101.with_name("store")).split("test")
    assert (test.ids[0], test.groups) == ("Archery/v_Archery_g01_c01.avi", ("g01", "g01"))
    # The middle frames of four stretches of five.
    shown = 100 + 2 * np.array([2, 7, 12, 17])
    assert np.abs(test.frames.astype(int) - shown[:, None, None, None]).max() <= 4


def test_damaged_and_short_videos_are_a_line_each(ucf101: Path, import_ucf101: Say) -> None:
    (ucf101 / "Archery/v_Archery_g08_c02.avi").write_bytes(b"")
    whole = (ucf101 / "Biking/v_Biking_g01_c01.avi").read_bytes()
    (ucf101 / "Biking/v_Biking_g07_c01.avi").write_bytes(whole[: len(whole) // 3])
    write_video(ucf101 / "Archery/v_Archery_g09_c01.avi", num_frames=1)
    write_video(ucf101 / "Biking/v_Biking_g08_c01.avi", num_frames=4)
    code, _, err = import_ucf101("--partial")
    lines = err.splitlines()
    assert (code, len(lines)) == (2, 4)
    assert re.fullmatch(r"Archery/v_Archery_g08_c02\.avi: cannot be used \(at frame 0\): .*\.", lines[0])
    assert re.fullmatch(r"Biking/v_Biking_g07_c01\.avi: cannot be used \(at frame \d+\): .*\.", lines[1])
    assert lines[2] == "Archery/v_Archery_g09_c01.avi: is too short; its clip repeats frames."
    assert lines[3].startswith(f"error: {ucf101}: 2 of 8 files could not be used.")
    assert open_clips(ucf101.with_name("store")).num_clips == 6
    assert import_ucf101("--partial", "--skip-bad", "--force")[0] == 0


def test_no_study_without_private_attributes(ucf101: Path, import_ucf101: Say, say: Say) -> None:
    assert import_ucf101("--partial")[0] == 0
    store = ucf101.with_name("store")
    space = Path(__file__).parents[2] / "search_spaces/quickstart.toml"
    code, _, err = say("study", space, "--clips", store, "--out", ucf101.with_name("study"))
    assert code == 2
    rule = "must have at least two actions and one private attribute, because both are measured, got 2 and 0. "
    assert err.startswith(f"error: {store}: {rule}")


def test_stills_become_clips_of_one_frame(tmp_path: Path, say: Say) -> None:
    root = tmp_path / "vispr"
    for split, first in (("train", 0), ("test", 4)):
        names = [f"annotations/{split}2017/2017_{n}.json" for n in range(first, first + 4)]
        (root / f"annotations/{split}2017").mkdir(parents=True)
        (root / f"{split}2017.txt").write_text("\n".join(names))
        for n, name in enumerate(names, start=first):
            labels = ["a4_gender"] if n % 2 else ["a0_safe"]
            (root / name).write_text(json.dumps({"image_path": f"images/2017_{n}.jpg", "labels": labels}))
            write_still(root / f"images/2017_{n}.jpg", level=20 * n + 10)
    store = tmp_path / "store"
    words = ("clips", "import", "vispr", "--root", root, "--size", "8x12", "--val-fraction", "0.25", "-o", store)
    code, out, err = say(*words, "--partial")
    assert (code, err) == (0, "")
    assert "training labels      4     10,000\n" in out
    clips = open_clips(store)
    assert (clips.shape, clips.actions, clips.attributes) == ((1, 8, 12, 3), ("still",), ("a4_gender",))
    test = clips.split("test")
    assert test.private.ravel().tolist() == [0, 1, 0, 1]
    levels = 20 * np.arange(4, 8)[:, None] + 10
    assert np.abs(test.frames.reshape(4, -1).astype(int) - levels).max() <= 3

    still = root / "images/2017_7.jpg"
    still.write_bytes(still.read_bytes()[:-40])
    code, _, err = say(*words, "--partial", "--force")
    assert (code, err.count("\n")) == (2, 2)
    assert err.startswith("images/2017_7.jpg: cannot be used (at frame 0): ")


def test_a_table_of_ones_own(tmp_path: Path, say: Say) -> None:
    rows = ["file,split,group,action,person"]
    for n, (split, person, action) in enumerate(
        (split, person, action) for split in ("train", "val", "test") for person in "ab" for action in ("sit", "run")
    ):
        rows.append(f"{n}.avi,{split},{split},{action},{person}")
        write_video(tmp_path / f"videos/{n}.avi", level=n)
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    words = ("--labels", tmp_path / "labels.csv", "--num-frames", "2", "--size", "8x8", "-o", tmp_path / "store")
    code, out, err = say("clips", "import", "csv", "--root", tmp_path / "videos", *words)
    assert (code, err) == (0, "")
    assert "splits: train 4, val 4, test 4" in out
    assert "private attributes (2): person=a, person=b" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ucf101"], "clips import: data set 'ucf101' needs --root."),
        (["ucf-101", "--root", "."], "clips import: unknown data set 'ucf-101'. Did you mean 'ucf101'?"),
        (["."], "clips import: folder '.' needs --pattern, --action, --private, --group, --test-groups."),
        (["kth", "--root", ".", "--split", "1"], "clips import: --split cannot go with data set 'kth'."),
        (["vispr", "--root", ".", "--num-frames", "16"], "clips import: --num-frames cannot go with data set 'vispr'."),
        (["ucf101", "--root", ".", "--pattern", "x"], "clips import: --pattern cannot go with data set 'ucf101'."),
        ([".", "--partial", "--split", "2"], "clips import: --split, --partial cannot go with folder '.'."),
        (["hmdb51", "--root", "gone"], "gone: must be a folder of videos or stills."),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, words: list[str], message: str, say: Say) -> None:
    code, out, err = say("clips", "import", *words, "-o", tmp_path / "store")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {message}")


def test_the_help_names_every_data_set(say: Say) -> None:
    _, out, _ = say("clips", "import", "--help")
    assert all(name in re.split(r"[\s,:│]+", out) for name in DATA_SETS)
