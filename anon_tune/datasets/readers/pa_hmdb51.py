"""PA-HMDB51: private attributes per frame for 515 videos of HMDB51, which are the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anon_tune.datasets.decode import ClipForm
from anon_tune.datasets.readers import hmdb51
from anon_tune.datasets.readers.label_files import LabelFolder, read_json
from anon_tune.datasets.readers.listing import Count, Listing, count_splits, locate
from anon_tune.datasets.readers.vp import ATTRIBUTES, read_attributes, with_attributes
from anon_tune.errors import DataError

NUM_VIDEOS = 515
NUM_FRAMES = 52_533
_MOST = 2**31  # no frame number is larger

Track = list[tuple[int, int, tuple[int, ...]]]


def read_pa_hmdb51(
    root: Path,
    labels: LabelFolder,
    num_frames: int,
    frame_step: int | None = None,
    num_windows: int = 1,
    keep_frames: int | None = None,
) -> Listing:
    """List PA-HMDB51 as the test split, and other videos of HMDB51 as the training split.

    The training split is that of HMDB51's split 1, without the 515 videos and without every other video that was cut
    from the same source as one of them. Their attributes are those of VP-HMDB51, the only published ones. The two
    annotations agree on 71 to 94 % of the 515 videos, depending on the attribute. In the test split, an attribute is
    present if at least one frame that the clip shows, in any of its windows, has a value other than 0. The value 0
    means absent or unidentifiable. A frame outside every range counts as 0.

    Raises:
        DataError: Labels or lists are missing, cannot be read, or do not belong together.

    Source:
        Wu, Wang, Wang, Jin, Wang, TPAMI 2020 (arXiv:1906.05675), whose rule "a value other than 0 is
        present" is used here. Their published code trains on 286 of the test videos; this split does not.
    """
    listed = hmdb51.read_lists(labels, 1)
    tracks = {
        f"{action}/{video}": parse_tracks(entry, f"{file}: {video!r}")
        for action in sorted({one.action for one in listed})
        if f"{action}.json" in labels
        for file in [labels.find(f"{action}.json")]
        for video, entry in read_json(file).items()
    }
    if not tracks:
        rule = "must hold the private attributes of PA-HMDB51, <action>.json"
        raise DataError(str(labels.path), rule, "none", "Download them, or name their folder with --labels")
    known = {one.id: one for one in listed}
    for video in tracks:
        if video not in known:
            remedy = "Download both label sets again"
            raise DataError(str(labels.path), "a video of PA-HMDB51 must be one of HMDB51", repr(video), remedy)
    test = [
        replace(known[video], split="test", private=present(track, num_frames, frame_step, num_windows, keep_frames))
        for video, track in tracks.items()
    ]
    sources = {one.group for one in test}
    private = read_attributes(labels, "hmdb51")
    train = [
        with_attributes(one, private, labels) for one in listed if one.split == "train" and one.group not in sources
    ]
    located = locate(root, [*train, *test])
    counts = (
        Count("labelled test videos", len(test), NUM_VIDEOS),
        Count("labelled test frames", sum(count_frames(track) for track in tracks.values()), NUM_FRAMES),
        *count_splits(located, {"train": len(train), "test": NUM_VIDEOS}),
    )
    return Listing(root, labels.path, located, ATTRIBUTES, counts, num_frames)


def parse_tracks(entry: Any, where: str) -> dict[str, Track]:
    """Return the ranges ``(first frame, last frame, values)`` of each attribute; a value is a number or a list.

    Raises:
        DataError: The entry has another form.
    """
    tracks: dict[str, Track] = {}
    for name in ATTRIBUTES:
        track = entry.get(name) if isinstance(entry, dict) else None
        if not isinstance(track, list) or not track:
            raise DataError(where, f"needs a list of frame ranges '{name}'", repr(track), "Download the file again")
        tracks[name] = [_parse_range(part, f"{where}: {name}") for part in track]
    return tracks


def _parse_range(part: Any, where: str) -> tuple[int, int, tuple[int, ...]]:
    if isinstance(part, list) and len(part) == 3:
        first, last, value = part
        values = value if isinstance(value, list) else [value]
        numbers = [first, last, *values]
        if values and all(type(number) is int and 0 <= number < _MOST for number in numbers) and first <= last:
            return first, last, tuple(values)
    raise DataError(where, "a frame range must be [first, last, value]", str(part), "Download the file again")


def count_frames(tracks: Mapping[str, Track]) -> int:
    """Return the number of frames of a video. Ranges count from 0 and include their last frame."""
    return 1 + max(last for track in tracks.values() for _, last, _ in track)


def present(
    tracks: Mapping[str, Track],
    num_frames: int,
    frame_step: int | None = None,
    num_windows: int = 1,
    keep_frames: int | None = None,
) -> tuple[bool, ...]:
    """Return, for each attribute, whether a clip of `num_frames` frames shows it in any of its windows."""
    form = ClipForm(num_frames, 1, 1, frame_step, num_windows=num_windows, keep_frames=keep_frames)
    shown: Sequence[int] = form.taken(count_frames(tracks)).tolist()
    return tuple(
        any(first <= frame <= last and any(values) for first, last, values in tracks[name] for frame in shown)
        for name in ATTRIBUTES
    )
