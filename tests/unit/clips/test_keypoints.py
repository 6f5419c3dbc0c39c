"""Key points: from the figure that draws the generated clips, and from files of other programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anon_tune.clips import Clips, make_avatars, open_clips
from anon_tune.clips.keypoint_file import read_keypoints
from anon_tune.clips.keypoints import POINTS
from anon_tune.clips.manifest import KEYPOINTS, read_manifest
from anon_tune.clips.node_cache import fetch_store, save_store
from anon_tune.clips.outside import outside_training
from anon_tune.errors import DataError

PERSON = [v for at in range(17) for v in (10.0 + at, 20.0 + at, 2)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    place = tmp_path_factory.mktemp("keypoints") / "avatars"
    return make_avatars(place, num_train=24, num_val=24, num_test=24, height=48, width=64)


def test_generated_joints_lie_on_the_body(store: Clips) -> None:
    train = store.split("train")
    assert train.keypoints is not None
    assert train.keypoints.shape == (24, 8, 1, 17, 3)
    at = {name: number for number, name in enumerate(POINTS)}
    people = train.keypoints[:, :, 0]
    assert (people[..., at["left_shoulder"], 0] > people[..., at["right_shoulder"], 0]).all()  # they face the camera
    assert (people[..., at["nose"], 1] < people[..., at["left_hip"], 1]).all()
    np.testing.assert_allclose(people[..., [at["left_ankle"], at["right_ankle"]], 1], 0.96, atol=1e-6)
    colours = []  # of the two knees, which trousers cover: the same colour in all frames of a clip
    for clip, joints in zip(train.frames, people, strict=True):
        places = joints[:, [at["left_knee"], at["right_knee"]], :2]
        inside = ((places >= 0) & (places < 1)).all(axis=-1)
        columns, rows = (places * [64, 48]).astype(int).reshape(-1, 2)[inside.ravel()].T
        colours.append(clip[np.repeat(np.arange(8), 2)[inside.ravel()], rows, columns].std(axis=0).mean())
    assert np.median(colours) < 12  # grain of 5 and a hand now and then; the clips as a whole have 50


def test_key_points_of_generated_clips_do_not_change_the_fingerprint(store: Clips) -> None:
    without = replace(store.manifest, keypoints="")
    assert without.fingerprint() == store.fingerprint
    named = replace(store.manifest, entries=(replace(store.manifest.entries[0], file="a.mp4"),))
    assert named.fingerprint() != replace(named, keypoints="").fingerprint()


def test_a_store_without_key_points_has_none(store: Clips, tmp_path: Path) -> None:
    from anon_tune.clips.manifest import write_manifest

    (tmp_path / "frames.npy").symlink_to(store.directory / "frames.npy")
    write_manifest(tmp_path / "manifest.parquet", replace(store.manifest, keypoints=""))
    old = open_clips(tmp_path)
    assert old.split("test").keypoints is None
    assert old.split("test").points_at([0]) is None


def test_key_points_of_another_store_are_refused(store: Clips, tmp_path: Path) -> None:
    for file in store.directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    np.save(tmp_path / KEYPOINTS, np.zeros((72, 8, 1, 17, 3), np.float32))
    with pytest.raises(DataError, match="the key points are not those of the manifest"):
        open_clips(tmp_path)
    (tmp_path / KEYPOINTS).unlink()
    with pytest.raises(DataError, match=KEYPOINTS):
        open_clips(tmp_path)


def test_key_points_travel_with_the_store(
    store: Clips, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANON_TUNE_CACHE", str(tmp_path))
    save_store(store.directory, s3.format("store"))
    copy = fetch_store(s3.format("store"))
    assert read_manifest(copy / "manifest.parquet") == store.manifest
    assert (copy / KEYPOINTS).read_bytes() == (store.directory / KEYPOINTS).read_bytes()


def test_key_points_stay_with_their_clips_outside_training(store: Clips) -> None:
    assert store.split("val").keypoints is not None
    moved = outside_training(store)
    for name in ("train", "val"):
        split, val = moved.split(name), store.split("val")
        assert split.keypoints is not None
        assert val.keypoints is not None
        for at, one in enumerate(split.ids):
            assert np.array_equal(split.keypoints[at], val.keypoints[val.ids.index(one)])


def coco(path: Path, **more: object) -> Path:
    images = [{"id": 7, "video_id": 1, "frame_id": 0}, {"id": 8, "video_id": 1, "frame_id": 4}]
    people = [{"image_id": 8, "keypoints": PERSON}, {"image_id": 8, "keypoints": PERSON}, {"image_id": 7}]
    tree = {"videos": [{"id": 1, "name": "in/a.mp4"}], "images": images, "annotations": people}
    path.write_text(json.dumps(tree | more))
    return path


def test_coco_and_parquet_say_the_same(tmp_path: Path) -> None:
    one = read_keypoints(coco(tmp_path / "a.json"))
    table = pa.table({"file": ["in/a.mp4"] * 2, "frame": [4, 4], "keypoints": [PERSON, PERSON]})
    pq.write_table(table, tmp_path / "a.parquet")
    for given in (one, read_keypoints(tmp_path / "a.parquet")):
        points = given.of("in/a.mp4", (0, 4, 4), (40, 80))
        assert points.shape == (3, 2, 17, 3)
        assert not points[0].any()
        np.testing.assert_allclose(points[1, 1, 0], [10.5 / 80, 20.5 / 40, 2])
        assert np.array_equal(points[1], points[2])
        assert given.of("b.mp4", (0,), (40, 80)).shape == (1, 0, 17, 3)
        given.check(["b.mp4", "in/a.mp4"])
        with pytest.raises(DataError, match=r"no key points of the videos, such as 'b.mp4', got in/a.mp4\."):
            given.check(["b.mp4"])


def test_images_without_a_video_are_the_frames_of_one(tmp_path: Path) -> None:
    images = [{"id": 20, "file_name": "2.jpg"}, {"id": 10, "file_name": "1.jpg"}]
    found = read_keypoints(
        coco(tmp_path / "a.json", images=images, annotations=[{"image_id": 20, "keypoints": PERSON}])
    )
    found.check(["any.mp4"])
    assert found.of("any.mp4", (0, 1), (40, 80))[:, :, :, 2].any(axis=(1, 2)).tolist() == [False, True]
    with pytest.raises(DataError, match="got no name of a video"):
        found.check(["one.mp4", "two.mp4"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be COCO JSON or Parquet"),
        ("[]", "must be COCO JSON or Parquet"),
        ('{"images": []}', "no 'annotations'"),
        ('{"images": [], "annotations": []}', "holds no key points"),
        ('{"images": [{"id": 1}], "annotations": [{"image_id": 1, "keypoints": [1, 2, 3]}]}', "must be 51 numbers"),
        ('{"images": [], "annotations": [{"image_id": 9, "keypoints": [1]}]}', "no 9"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_keypoints(path)


def test_people_without_a_video_are_not_put_into_every_video(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"file": ["in/a.mp4", None], "frame": [0, 0], "keypoints": [PERSON, PERSON]}), tmp_path / "a.parquet"
    )
    with pytest.raises(DataError, match="names the video of some people and not of others"):
        read_keypoints(tmp_path / "a.parquet")


def test_numbers_must_be_finite(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", annotations=[{"image_id": 7, "keypoints": [float("nan")] * 51}])
    with pytest.raises(DataError, match="frame 0: key points must be finite numbers"):
        read_keypoints(path)
