"""Lists of UCF-Crime and ShanghaiTech, and frame truth in a table, written small; their videos are real files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.clips import Clips
from anon_tune.clips.keypoint_file import KeyPoints
from anon_tune.datasets.readers import import_listing, read_data_set
from anon_tune.errors import DataError, UsageError

PRIVATE = "file,tall\n" + "".join(f"{name},{at % 2}\n" for at, name in enumerate("abcdefgh"))


def video(path: Path, num_frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        for at in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 8 * at, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture
def crime(tmp_path: Path) -> Path:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/Anomaly_Train.txt").write_text("Abuse/a.mp4\nTraining_Normal_Videos_Anomaly/b.mp4\n")
    lines = ["c.mp4  Abuse  3  6  -1  -1", "d.mp4  Normal  -1  -1  -1  -1", "e.mp4  Arson  1  2  11  20"]
    name = "Temporal_Anomaly_Annotation_for_Testing_Videos.txt"
    (tmp_path / "labels" / name).write_text("  \n".join(lines) + "\n")
    (tmp_path / "labels/private.csv").write_text(PRIVATE)
    for one in "abcde":
        video(tmp_path / "videos" / f"{one}.mp4", 12)
    return tmp_path


def imported(folder: Path, name: str, num_frames: int = 6, labels: str = "labels") -> Clips:
    listing = read_data_set(name, folder / "videos", folder / labels, num_frames=num_frames)
    return import_listing(listing, 8, 8, folder / "store", 0.0, partial=True, force=True, skip_bad=True).clips


def test_ucf_crime_counts_its_frames_from_one(crime: Path) -> None:
    clips = imported(crime, "ucf-crime")  # of 12 frames, those at 1, 3, 5, 7, 9, 11 are shown
    test = clips.split("test")
    assert clips.actions == ("Abuse", "Arson", "normal")
    assert clips.attributes == ("tall",)
    assert test.frame_truth is not None
    told = dict(zip(test.ids, test.frame_truth.tolist(), strict=True))
    assert told == {"c.mp4": [0, 1, 1, 0, 0, 0], "d.mp4": [0] * 6, "e.mp4": [1, 0, 0, 0, 0, 1]}
    assert clips.split("train").frame_truth is None  # training is weakly supervised


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("c.mp4 Abuse 3 6", "a name, a class, and four frame numbers"),
        ("c.mp4 Abuse -1 -1 -1 -1", "has abnormal parts unless its class is Normal"),
        ("c.mp4 Normal 3 6 -1 -1", "has abnormal parts unless its class is Normal"),
        ("c.mp4 Abuse 6 3 -1 -1", "must begin at frame 1 or later, and end after that"),
    ],
)
def test_a_line_that_cannot_be_right_is_refused(crime: Path, line: str, rule: str) -> None:
    (crime / "labels/Temporal_Anomaly_Annotation_for_Testing_Videos.txt").write_text(line)
    with pytest.raises(DataError, match=f"line 1: .*{rule}"):
        read_data_set("ucf-crime", crime / "videos", crime / "labels")


def test_an_abnormal_part_after_the_end_of_its_video_makes_a_bad_file(crime: Path) -> None:
    name = "Temporal_Anomaly_Annotation_for_Testing_Videos.txt"
    (crime / "labels" / name).write_text("c.mp4 Abuse 13 16 -1 -1\nd.mp4 Normal -1 -1 -1 -1\n")
    listing = read_data_set("ucf-crime", crime / "videos", crime / "labels", num_frames=6)
    found = import_listing(listing, 8, 8, crime / "store", 0.0, partial=True)
    assert [(one.file, one.reason) for one in found.bad] == [
        ("c.mp4", "has 12 frames, but an abnormal part begins at frame 12")
    ]


def test_shanghaitech_takes_labels_from_lists_or_masks(tmp_path: Path) -> None:
    (tmp_path / "labels/test_frame_mask").mkdir(parents=True)
    (tmp_path / "labels/SH_Train.txt").write_text("a\nb\nf,1\n")
    (tmp_path / "labels/SH_Test.txt").write_text("c\nd 0\n")
    (tmp_path / "labels/private.csv").write_text(PRIVATE)
    for name, span in (("b", (0, 3)), ("c", (4, 8))):
        mask = np.zeros(12, np.int64)
        mask[slice(*span)] = 1
        np.save(tmp_path / f"labels/test_frame_mask/{name}.npy", mask)
    for name in "abcdf":
        video(tmp_path / "videos" / f"{name}.avi", 12)
    clips = imported(tmp_path, "shanghaitech")
    train, test = clips.split("train"), clips.split("test")
    assert [clips.actions[at] for at in train.actions] == ["normal", "abnormal", "abnormal"]
    assert train.frame_truth is None
    assert test.frame_truth is not None
    assert test.frame_truth.tolist() == [[0, 0, 1, 1, 0, 0], [0] * 6]
    np.save(tmp_path / "labels/test_frame_mask/c.npy", np.ones(13))
    with pytest.raises(DataError, match="has 12 frames, but its frame truth has 13"):
        (tmp_path / "labels/SH_Test.txt").write_text("c\n")
        imported(tmp_path, "shanghaitech")
    (tmp_path / "labels/SH_Test.txt").write_text("c 0\n")
    with pytest.raises(DataError, match=r"c\.npy: must mark no frame of a video whose label is 0"):
        read_data_set("shanghaitech", tmp_path / "videos", tmp_path / "labels")


def test_a_table_may_tell_abnormal_frames(tmp_path: Path) -> None:
    rows = ["a.mp4,train,a,normal,0,unknown", "b.mp4,train,b,fall,1,unknown"]
    rows += ["c.mp4,test,c,fall,1,3-4 9-20", "d.mp4,test,d,normal,0,none"]
    (tmp_path / "labels").mkdir()
    table = tmp_path / "labels/labels.csv"
    table.write_text("file,split,group,action,tall,abnormal_frames\n" + "\n".join(rows))
    for name in "abcd":
        video(tmp_path / "videos" / f"{name}.mp4", 12)
    test = imported(tmp_path, "csv").split("test")
    assert test.frame_truth is not None
    assert test.frame_truth.tolist() == [[0, 1, 0, 0, 1, 1], [0] * 6]
    listing = read_data_set("csv", tmp_path / "videos", tmp_path / "labels", num_frames=6, num_windows=2)
    (tmp_path / "videos/a.mp4").write_bytes(b"")  # the refusals come before any video is opened
    with pytest.raises(UsageError, match=r"--windows: a store with several windows .* can have no frame truth\. Leave"):
        import_listing(listing, 8, 8, tmp_path / "windows", 0.0)
    with pytest.raises(UsageError, match="--keypoints: cannot go with --windows or --keep-frames"):
        import_listing(listing, 8, 8, tmp_path / "windows", 0.0, keypoints=KeyPoints(table, {"c.mp4": {}}))
    assert not list(tmp_path.glob("*windows*"))
    written = table.read_text()
    table.write_text(written.replace("none", "0-2"))
    with pytest.raises(DataError, match=r"'d\.mp4': no frame of a video of action 'normal' may be abnormal, got 0-2"):
        read_data_set("csv", tmp_path / "videos", tmp_path / "labels")
    table.write_text(written.replace("none", "5"))
    with pytest.raises(
        DataError, match="'abnormal_frames' must be parts such as 165-240 300-310, none, or unknown, got 5"
    ):
        read_data_set("csv", tmp_path / "videos", tmp_path / "labels")
