"""VISPR: 22,167 photographs with 68 private attributes; each is a clip of one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from anon_tune.clips.labels import Labels
from anon_tune.datasets.readers.label_files import LabelFolder, as_bool, read_json, read_lines, read_table
from anon_tune.datasets.readers.listing import SPLIT_NAMES, Count, Listing, count_splits, locate
from anon_tune.errors import DataError, UsageError, suggest
from anon_tune.video.folder_files import is_still

PUBLISHED = {"train": 10_000, "val": 4_167, "test": 8_000}
# An attribute is present if any of its listed VISPR attributes is.
SUBSETS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "vispr1": {
        name: [name]
        for name in (
            "a17_color",
            "a4_gender",
            "a9_face_complete",
            "a10_face_partial",
            "a12_semi_nudity",
            "a64_rel_personal",
            "a65_rel_social",
        )
    },
    "vispr2": {
        name: [name]
        for name in (
            "a6_hair_color",
            "a16_race",
            "a59_sports",
            "a1_age_approx",
            "a2_weight_approx",
            "a73_landmark",
            "a11_tattoo",
        )
    },
    "pa-hmdb51": {
        "skin_color": ["a17_color"],
        "face": ["a9_face_complete", "a10_face_partial"],
        "gender": ["a4_gender"],
        "nudity": ["a12_semi_nudity"],
        "relationship": ["a64_rel_personal", "a65_rel_social"],
    },
}


def read_vispr(root: Path, labels: LabelFolder, subset: str) -> Listing:
    """List VISPR with a subset of its attributes; every still is its own group, and the action is ``still``.

    Labels are the published JSON annotations, or else ``vispr1_<split>_labels.csv`` with a column
    ``image_id`` and one column per attribute. The validation split is used if its list exists.

    Args:
        root: Folder of the stills.
        labels: The label files ``train2017.txt`` and ``test2017.txt``, and the annotations that they name.
        subset: vispr1, vispr2 or pa-hmdb51; the last has the names and meaning of VP-HMDB51 and PA-HMDB51.

    Raises:
        UsageError: The subset is unknown.
        DataError: Lists or labels are missing or cannot be read.

    Source:
        Orekondy, Schiele, Fritz, ICCV 2017 (arXiv:1703.10660). The seven attributes of vispr1 and the merging
        for PA-HMDB51 are those of Wu et al. (arXiv:1906.05675); vispr2 is as later papers describe it, and
        no published label file confirms its list.
    """
    if subset not in SUBSETS:
        raise UsageError("--attributes", f"unknown set '{subset}'", remedy=suggest(subset, SUBSETS))
    merged = SUBSETS[subset]
    samples: list[Labels] = []
    counts: list[Count] = []
    published: dict[str, int | None] = {}
    for split, number in PUBLISHED.items():
        if split == "val" and f"{split}2017.txt" not in labels:
            continue
        names = read_lines(labels.find(f"{split}2017.txt"))
        stills = [PurePosixPath(name).stem for name in names]
        present = _read_labels(labels, split, stills, {part for parts in merged.values() for part in parts})
        for still in stills:
            if still in present:
                private = tuple(any(part in present[still] for part in parts) for parts in merged.values())
                samples.append(Labels(still, "", split, still, "still", private))
        counts.append(Count(f"{SPLIT_NAMES[split]} labels", sum(still in present for still in stills), number))
        published[split] = number
    located = locate(root, samples, is_still)
    every = (*counts, *count_splits(located, published, "stills"))
    return Listing(root, labels.path, located, tuple(merged), every, 1)


def _read_labels(labels: LabelFolder, split: str, stills: Sequence[str], parts: set[str]) -> dict[str, set[str]]:
    """Return the attributes that are present in each still that has labels."""
    annotated = [still for still in stills if f"{still}.json" in labels]
    if annotated:
        return {still: _read_annotation(labels.find(f"{still}.json")) for still in annotated}
    table = f"vispr1_{split}_labels.csv"
    if table not in labels:
        rule = f"no annotation '{stills[0]}.json', nor '{table}'"
        raise DataError(str(labels.path), rule, remedy="Download the annotations, or name their folder with --labels")
    file = labels.find(table)
    rows = read_table(file, ("image_id", *sorted(parts)))
    return {
        row["image_id"]: {part for part in parts if as_bool(row[part], f"{file}: {row['image_id']}")} for row in rows
    }


def _read_annotation(file: Path) -> set[str]:
    found = read_json(file).get("labels")
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        rule = "must hold a list 'labels' of attribute names"
        raise DataError(str(file), rule, str(found), "Download the file again")
    return set(found)
