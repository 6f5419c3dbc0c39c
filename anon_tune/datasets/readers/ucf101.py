"""UCF101: 13,320 videos of 101 actions, in 25 groups of the same people and background."""

from __future__ import annotations

import re
from pathlib import Path

from anon_tune.clips.labels import Labels
from anon_tune.datasets.readers.label_files import LabelFolder, read_lines
from anon_tune.datasets.readers.listing import Count, Listing, count_splits, locate
from anon_tune.errors import DataError

NUM_VIDEOS = 13_320
PUBLISHED = {1: {"train": 9_537, "test": 3_783}, 2: {"train": 9_586, "test": 3_734}, 3: {"train": 9_624, "test": 3_696}}
_LINE = re.compile(r"(?P<action>\w+)/v_\w+_(?P<group>g\d\d)_c\d\d\.\w+( \d+)?")


def read_ucf101(root: Path, labels: LabelFolder, split: int, num_frames: int) -> Listing:
    """List UCF101 by its published split; it has no private attributes.

    Raises:
        DataError: ``trainlist0<split>.txt`` or ``testlist0<split>.txt`` is missing or cannot be read.

    Source:
        Soomro, Zamir, Shah 2012 (arXiv:1212.0402). A group has the same number in every class,
        so the number is the group here.
    """
    samples = [
        parse_video(line, part, f"{file}: line {number}")
        for part in ("train", "test")
        for file in [labels.find(f"{part}list0{split}.txt")]
        for number, line in enumerate(read_lines(file), start=1)
    ]
    located = locate(root, samples)
    counts = (Count("listed videos", len(samples), NUM_VIDEOS), *count_splits(located, PUBLISHED[split]))
    return Listing(root, labels.path, located, (), counts, num_frames)


def parse_video(line: str, split: str, where: str) -> Labels:
    """Read action and group from ``<action>/v_<action>_g<group>_c<number>.avi``; a class number may follow.

    The action is the name of the folder, because folders and files spell "HandstandPushups" differently.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        rule = "a video must be named like 'Archery/v_Archery_g01_c01.avi'"
        raise DataError(where, rule, repr(line), "Correct the file or download it again")
    video = line.split(maxsplit=1)[0]
    return Labels(video, "", split, match["group"], match["action"], ())
