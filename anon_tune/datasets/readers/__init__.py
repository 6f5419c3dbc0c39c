"""Readers of published data sets, one module per format. Each turns labels into a `Listing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anon_tune.datasets.readers.anomalies import read_shanghaitech, read_ucf_crime
from anon_tune.datasets.readers.hmdb51 import read_hmdb51
from anon_tune.datasets.readers.label_files import LabelFolder
from anon_tune.datasets.readers.listing import Count, Listing, import_listing
from anon_tune.datasets.readers.pa_hmdb51 import read_pa_hmdb51
from anon_tune.datasets.readers.patterned import read_ixmas, read_kth
from anon_tune.datasets.readers.table import read_csv
from anon_tune.datasets.readers.ucf101 import read_ucf101
from anon_tune.datasets.readers.vispr import read_vispr
from anon_tune.datasets.readers.vp import read_vp_hmdb51, read_vp_ucf101
from anon_tune.errors import DataError, UsageError, suggest

__all__ = ["DATA_SETS", "Count", "Listing", "import_listing", "read_data_set"]

_FRAMES = ("--num-frames", "--frame-step", "--windows", "--keep-frames")

# The options of each data set, besides those that all data sets have.
DATA_SETS: dict[str, tuple[str, ...]] = {
    "ucf101": ("--labels", "--split", *_FRAMES),
    "hmdb51": ("--labels", "--split", *_FRAMES),
    "pa-hmdb51": ("--labels", *_FRAMES),
    "vispr": ("--labels", "--attributes"),
    "vp-ucf101": ("--labels", "--split", *_FRAMES),
    "vp-hmdb51": ("--labels", "--split", *_FRAMES),
    "kth": ("--test-groups", *_FRAMES),
    "ixmas": ("--test-groups", *_FRAMES),
    "ucf-crime": ("--labels", "--num-frames"),
    "shanghaitech": ("--labels", "--num-frames"),
    "csv": ("--labels", *_FRAMES),
}
_WITHOUT_CHOICES = {"ucf-crime": read_ucf_crime, "shanghaitech": read_shanghaitech, "csv": read_csv}


def read_data_set(
    name: str,
    root: Path | str,
    labels: Path | str | None = None,
    num_frames: int = 16,
    split: int = 1,
    attributes: str = "vispr1",
    test_groups: Sequence[str] = (),
    frame_step: int | None = None,
    num_windows: int = 1,
    keep_frames: int | None = None,
) -> Listing:
    """List a data set: its labels, which of its files are on disk, and how many there should be.

    Args:
        name: A key of `DATA_SETS`, whose value tells which of the other arguments it uses.
        root: Folder of the videos or stills, searched with all folders below it.
        labels: Where the label files are, if not in `root`: a folder, searched in the same way, or one file.
        num_frames: Frames per clip, at least 1.
        split: Number of the published split, 1 to 3.
        attributes: Attribute set of VISPR: vispr1, vispr2 or pa-hmdb51.
        test_groups: Scenarios of KTH or takes of IXMAS that form the test split.
        frame_step: Frames of the video from one frame of a clip to the next; None spreads the clip over the video.
        num_windows: As in `ClipForm`.
        keep_frames: As in `ClipForm`.

    Raises:
        UsageError: The name or the split is unknown.
        DataError: Labels are missing or cannot be read.
    """
    if name not in DATA_SETS:
        raise UsageError("--root", f"unknown data set '{name}'", remedy=suggest(name, DATA_SETS))
    if split not in (1, 2, 3):
        raise UsageError("--split", "must be 1, 2 or 3", split, "The default is 1")
    root = Path(root)
    if not root.is_dir():
        raise DataError(str(root), "must be a folder of videos or stills", remedy="Name another with --root")
    folder = LabelFolder(Path(labels or root))
    match name:
        case "ucf101":
            listing = read_ucf101(root, folder, split, num_frames)
        case "hmdb51":
            listing = read_hmdb51(root, folder, split, num_frames)
        case "pa-hmdb51":
            listing = read_pa_hmdb51(root, folder, num_frames, frame_step, num_windows, keep_frames)
        case "vispr":
            listing = read_vispr(root, folder, attributes)
        case "vp-ucf101":
            listing = read_vp_ucf101(root, folder, split, num_frames)
        case "vp-hmdb51":
            listing = read_vp_hmdb51(root, folder, split, num_frames)
        case "kth":
            listing = read_kth(root, test_groups, num_frames)
        case "ixmas":
            listing = read_ixmas(root, test_groups, num_frames)
        case _:
            listing = _WITHOUT_CHOICES[name](root, folder, num_frames)
    return replace(listing, frame_step=frame_step, num_windows=num_windows, keep_frames=keep_frames)
