"""HMDB51: 6,766 videos of 51 actions, cut from films and web videos."""

from __future__ import annotations

import re
from pathlib import Path

from anon_tune.clips.labels import Labels
from anon_tune.datasets.readers.label_files import LabelFolder, read_lines
from anon_tune.datasets.readers.listing import Count, Listing, count_splits, locate
from anon_tune.errors import DataError

NUM_VIDEOS = 6_766
NUM_ACTIONS = 51
PUBLISHED = {"train": 3_570, "test": 1_530}
# The source is followed by visible body, camera motion, number of people, viewpoint, quality and a number.
_NAME = r"(?P<source>.+)_[fhlu]_[cn]m_np\d+_(?:fr|ba|le|ri)_(?:goo|med|bad)_\d+"
_LINE = re.compile(rf"(?P<name>{_NAME})\.avi\s+(?P<use>[012])")
_USES = {"0": "unused", "1": "train", "2": "test"}


def read_hmdb51(root: Path, labels: LabelFolder, split: int, num_frames: int) -> Listing:
    """List HMDB51 by its published split; it has no private attributes.

    Raises:
        DataError: A list is missing or cannot be read.

    Source:
        Kuehne, Jhuang, Garrote, Poggio, Serre, ICCV 2011. No source video of an action is in both splits;
        a film from which several actions were cut may be.
    """
    listed = read_lists(labels, split)
    located = locate(root, [one for one in listed if one.split != "unused"])
    counts = (Count("listed videos", len(listed), NUM_VIDEOS), *count_splits(located, PUBLISHED))
    return Listing(root, labels.path, located, (), counts, num_frames)


def read_lists(labels: LabelFolder, split: int) -> list[Labels]:
    """Return every video of a split's lists. Its split is train, test or unused; its group is the source video.

    Raises:
        DataError: A list is missing or cannot be read.
    """
    suffix = f"_test_split{split}.txt"
    names = labels.matching(f"*{suffix}")
    if len(names) < NUM_ACTIONS:
        got = f"{len(names)}, such as '{names[0]}'" if names else "none"
        rule = f"must hold the {NUM_ACTIONS} lists <action>{suffix}"
        raise DataError(
            str(labels.path), rule, got, "Download the splits of HMDB51, or name their folder with --labels"
        )
    listed = []
    for name in names:
        action, file = name.removesuffix(suffix), labels.find(name)
        for number, line in enumerate(read_lines(file), start=1):
            match = _LINE.fullmatch(line)
            if match is None:
                rule = "a line must hold a video's name and 0, 1 or 2"
                raise DataError(f"{file}: line {number}", rule, repr(line), "Correct the file or download it again")
            video = f"{action}/{match['name']}.avi"
            listed.append(Labels(video, "", _USES[match["use"]], match["source"], action, ()))
    return listed
