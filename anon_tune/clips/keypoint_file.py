"""Reads key points of the people in videos, which another program found, from COCO JSON or Parquet.

Shapes: T frames of a clip, P people in a frame, 17 points of a person; see `anon_tune.clips.keypoints`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anon_tune.clips.keypoints import POINTS, Points
from anon_tune.errors import DataError
from anon_tune.folder import why
from anon_tune.video.folder_files import printable

_NUM_VALUES = 3 * len(POINTS)
_REMEDY = "See docs/keypoints.md"
Frames = Mapping[int, Sequence[Points]]
"""The people of the frames of a video: (17,3) each, in pixels of the upright frame, by the number of the frame."""


@dataclass(frozen=True)
class KeyPoints:
    """Key points of people in videos.

    Attributes:
        path: The file that they came from.
        videos: The people in each video, by the path of the video. A file about one video need not name it: ``""``.
    """

    path: Path
    videos: Mapping[str, Frames]

    def check(self, files: Sequence[str]) -> None:
        """Refuse key points none of which belong to the videos that are read.

        Raises:
            DataError: They are of other videos, or do not say of which.
        """
        if not any(file in self.videos for file in files) and not ("" in self.videos and len(files) == 1):
            named = next(iter(sorted(self.videos)), "") or "no name of a video"
            rule = f"holds no key points of the videos, such as '{files[0]}'"
            raise DataError(str(self.path), rule, named, "Name videos by their path in the folder that is read")

    def has(self, file: str) -> bool:
        """True if a point of somebody is known in a frame of a video."""
        return any(points[:, 2].any() for people in self._frames(file).values() for points in people)

    def missing(self, files: Sequence[str]) -> str:
        """Return a phrase about the videos in which no point is known; empty if there are none."""
        without = [file for file in files if not self.has(file)]
        if not without:
            return ""
        return f"holds no key points of {len(without)} of {len(files)} videos, such as '{printable(without[0])}'"

    def _frames(self, file: str) -> Frames:
        return self.videos.get(file) or self.videos.get("") or {}

    def of(self, file: str, shown: Iterable[int], size: tuple[int, int]) -> Points:
        """Return the key points (T,P,17,3) of some frames of a video, as fractions of its height and width.

        Args:
            file: Path of the video, as the file of key points names it.
            shown: Numbers of T frames, from 0.
            size: Height and width of an upright frame in pixels.
        """
        frames = self._frames(file)
        people = [frames.get(at, ()) for at in shown]
        placed = np.zeros((len(people), max(map(len, people), default=0), len(POINTS), 3), np.float32)
        for t, some in enumerate(people):
            for at, points in enumerate(some):
                placed[t, at] = points
        shares = (placed[..., :2] + 0.5) / np.array([size[1], size[0]], np.float32)
        placed[..., :2] = np.where(placed[..., 2:] > 0, shares, 0)
        return placed


def read_keypoints(path: Path) -> KeyPoints:
    """Read key points from a file.

    Args:
        path: Parquet with the columns ``file`` (may be missing), ``frame`` and ``keypoints``; or COCO JSON whose images
            are frames: ``frame_id`` is the number of the frame, and ``video_id`` names one of ``videos``. Without these
            two, images are the frames of one video in the order of their ids.

    Raises:
        DataError: The file is neither, names the videos of some people only, or key points are not 17 times column,
            row and certainty in finite numbers.
    """
    try:
        rows = _parquet(path) if path.suffix.lower() == ".parquet" else _coco(json.loads(path.read_text("utf-8")))
        videos: dict[str, dict[int, list[Points]]] = defaultdict(lambda: defaultdict(list))
        for file, frame, values in rows:
            if len(values) != _NUM_VALUES:
                rule = f"key points must be {_NUM_VALUES} numbers, x, y and certainty of {len(POINTS)} points"
                raise DataError(f"{path}: frame {frame}", rule, len(values), _REMEDY)
            points = np.array(values, np.float32).reshape(-1, 3)
            if not np.isfinite(points).all():
                raise DataError(f"{path}: frame {frame}", "key points must be finite numbers", remedy=_REMEDY)
            videos[file][int(frame)].append(points)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, pa.ArrowException) as error:
        cause = f"no {error}" if isinstance(error, KeyError) else why(error)
        rule = "must be COCO JSON or Parquet with key points of people"
        raise DataError(str(path), rule, remedy=_REMEDY, cause=cause) from None
    if not videos:
        raise DataError(str(path), "holds no key points", remedy=_REMEDY)
    if "" in videos and len(videos) > 1:
        rule = "names the video of some people and not of others, who may be in any video"
        raise DataError(
            str(path), rule, remedy="Name the video in every row, or in none if the file is about one video"
        )
    return KeyPoints(path, videos)


Row = tuple[str, int, Sequence[float]]


def _parquet(path: Path) -> Iterator[Row]:
    for row in pq.read_table(path).to_pylist():
        yield row.get("file") or "", row["frame"], row["keypoints"]


def _coco(tree: Any) -> Iterator[Row]:
    names = {video["id"]: video.get("name") or video["file_name"] for video in tree.get("videos", ())}
    frames: dict[Any, tuple[str, int]] = {}
    counts: dict[str, int] = defaultdict(int)
    for image in sorted(tree["images"], key=lambda image: image["id"]):
        name = str(names[image["video_id"]]) if "video_id" in image else ""
        frames[image["id"]] = name, int(image.get("frame_id", counts[name]))
        counts[name] += 1
    for person in tree["annotations"]:
        if person.get("keypoints"):
            yield *frames[person["image_id"]], person["keypoints"]
