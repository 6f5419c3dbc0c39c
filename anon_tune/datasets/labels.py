"""Labels and splits of videos, derived from their paths."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import SPLITS
from anon_tune.errors import DataError, UsageError, suggest

_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}


@dataclass(frozen=True, slots=True)
class Found:
    """One file that the pattern matches.

    Attributes:
        file: Path relative to the folder, with slashes.
        action: Its action class.
        group: Its group.
        private: Its private labels, as text, in the order in which they were requested.
    """

    file: str
    action: str
    group: str
    private: tuple[str, ...]


def match_files(
    files: Sequence[str], pattern: str, action: str, private: Sequence[str], group: str, where: str
) -> list[Found]:
    """Read labels from paths with the named groups of a pattern, which may match anywhere in a path.

    Args:
        files: Paths relative to the folder, with slashes.
        pattern: A regular expression.
        action: Name of the pattern's group that holds the action.
        private: Names of the groups that hold private labels, at least one.
        group: Name of the group to split by.
        where: The folder, for errors.

    Raises:
        UsageError: The pattern is invalid, lacks a group, leaves a group empty, or yields only one action.
        DataError: The pattern matches no file.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError("--pattern", f"is not a regular expression: {error}", pattern, "Correct the pattern") from None
    if not private:
        raise UsageError("--private", "at least one private label is needed", remedy="Name a group of the pattern")
    for name in (action, group, *private):
        if name not in compiled.groupindex:
            known = suggest(name, compiled.groupindex) if compiled.groupindex else "Write it as (?P<name>...)"
            raise UsageError("--pattern", f"has no named group '{name}'", pattern, known)
    found = []
    for file in files:
        if match := compiled.search(file):
            values = {name: match[name] for name in (action, group, *private)}
            for name, value in values.items():
                if not value:
                    rule = f"the pattern's group '{name}' must not be empty, as it is for '{file}'"
                    raise UsageError("--pattern", rule, pattern, "Correct the pattern")
            found.append(Found(file, values[action], values[group], tuple(values[name] for name in private)))
    if not found:
        example = f"for example not '{files[0]}'" if files else "the folder holds no files"
        raise DataError(where, f"the pattern matches no file, {example}", pattern, "Correct --pattern")
    if len({one.action for one in found}) < 2:
        raise UsageError("--action", "at least two action classes are needed", found[0].action, "Correct --pattern")
    return found


def binary_columns(name: str, values: Sequence[str]) -> dict[str, tuple[bool, ...]]:
    """Turn a label into binary attributes, each a column of truth values.

    A label with the values 0 and 1, true and false, or yes and no becomes one attribute of the same name. Any other
    label becomes one attribute per value, named ``label=value``.
    """
    if {value.lower() for value in values} <= _TRUE | _FALSE:
        return {name: tuple(value.lower() in _TRUE for value in values)}
    return {f"{name}={value}": tuple(v == value for v in values) for value in sorted(set(values))}


def attribute_columns(found: Sequence[Found], private: Sequence[str]) -> dict[str, tuple[bool, ...]]:
    """Turn the private labels of files into binary attributes with `binary_columns`.

    Raises:
        UsageError: A label has only one value, so that nothing could leak.
    """
    columns: dict[str, tuple[bool, ...]] = {}
    for at, name in enumerate(private):
        values = [one.private[at] for one in found]
        new = binary_columns(name, values)
        if len(set(zip(*new.values(), strict=True))) < 2:
            rule = f"label '{name}' must have at least two values, or there is nothing to leak"
            raise UsageError("--private", rule, values[0], "Leave it out or correct --pattern")
        columns |= new
    return columns


def split_files(
    found: Sequence[Found], test_groups: Sequence[str], val_groups: Sequence[str], val_fraction: float
) -> list[str]:
    """Assign every file to train, val or test, by group.

    Without `val_groups`, `Splitter` later holds out a fraction of the training clips for validation.

    Args:
        found: The files.
        test_groups: Groups of the test split.
        val_groups: Groups of the validation split, if it has its own.
        val_fraction: In [0, 1), used without `val_groups`; only checked here.

    Returns:
        A split for each file.

    Raises:
        UsageError: A group is unknown or in two splits, the fraction is out of range, or a split is empty.
    """
    groups = sorted({one.group for one in found})
    for option, chosen in (("--test-groups", test_groups), ("--val-groups", val_groups)):
        for group in chosen:
            if group not in groups:
                raise UsageError(option, f"unknown group '{group}'", remedy=f"Found: {_some(groups)}")
    if not test_groups:
        raise UsageError("--test-groups", "at least one is needed", remedy=f"Found: {_some(groups)}")
    if both := sorted(set(test_groups) & set(val_groups)):
        raise UsageError("--val-groups", "a group is in one split only", both[0], "Remove it from --test-groups")
    check_fraction(val_fraction)
    named = dict.fromkeys(val_groups, "val") | dict.fromkeys(test_groups, "test")
    splits = [named.get(one.group, "train") for one in found]
    if "train" not in splits:
        raise UsageError("--test-groups", "must leave groups to train on", remedy=f"Found: {_some(groups)}")
    return splits


def label_files(found: Sequence[Found], splits: Sequence[str], columns: dict[str, tuple[bool, ...]]) -> list[Labels]:
    """Combine the labels and the split of each file, in the order of the files."""
    return [
        Labels(one.file, one.file, split, one.group, one.action, private)
        for one, split, private in zip(found, splits, zip(*columns.values(), strict=True), strict=True)
    ]


class Splitter:
    """Assigns usable files to splits, and holds out training clips for validation.

    The clips that are held out are spread evenly over actions and private labels. Their groups are also in the training
    split, so they may serve to choose an epoch or a pick, but not to report a result.

    Args:
        labels: Labels of all files, with the splits of their groups.
        by: The labels by which files are chosen, in the same order: `labels` again, or what the pattern found.
        fraction: Share of the training clips to hold out, in [0, 1); 0 if there is a validation split.
    """

    def __init__(self, labels: Sequence[Labels], by: Sequence[Found | Labels], fraction: float) -> None:
        self._all, self._fraction = list(zip(labels, by, strict=True)), fraction

    def split(self, bad: Collection[str] = ()) -> list[Labels]:
        """Return the labels of all files except those with the ids in `bad`, ordered by split and then by id."""
        used = [(one, by) for one, by in self._all if one.id not in bad]
        labels = [one for one, _ in used]
        train = [at for at, one in enumerate(labels) if one.split == "train"]
        for at in hold_out([used[at][1] for at in train], self._fraction):
            labels[train[at]] = replace(labels[train[at]], split="val")
        return sorted(labels, key=lambda one: (SPLITS.index(one.split), one.id))


def label_found(
    found: Sequence[Found], private: Sequence[str], test_groups: Sequence[str], val_groups: Sequence[str], share: float
) -> tuple[Splitter, tuple[str, ...]]:
    """Turn the files that were found into a `Splitter` of their labels, and the names of their attributes.

    Args:
        found: The files.
        private: Names of the private labels.
        test_groups, val_groups: As in `split_files`.
        share: Share of the training clips to hold out if there are no `val_groups`.

    Raises:
        UsageError: As in `attribute_columns` and `split_files`.
    """
    columns = attribute_columns(found, private)
    labels = label_files(found, split_files(found, test_groups, val_groups, share), columns)
    return Splitter(labels, found, 0 if val_groups else share), tuple(columns)


def check_fraction(val_fraction: float) -> None:
    """Refuse a share of the training clips that is out of range."""
    if not 0 <= val_fraction < 1:
        raise UsageError("--val-fraction", "must be at least 0 and below 1", val_fraction, "The default is 0.15")


def hold_out(found: Sequence[Found | Labels], fraction: float) -> list[int]:
    """Return the indices of a fraction of the files, chosen one by one so that every label has about the same share."""
    strata: dict[tuple[str | bool, ...], list[int]] = {}
    for at in sorted(range(len(found)), key=lambda at: _digest(found[at].file)):
        strata.setdefault((found[at].action, *found[at].private), []).append(at)
    total = Counter(label for key, files in strata.items() for label in enumerate(key) for _ in files)
    taken: Counter[tuple[int, str | bool]] = Counter()
    chosen = []
    for _ in range(min(round(fraction * len(found)), len(found) - 1)):
        # Ties go to the stratum that comes first by digest, so the choice does not follow names.
        key = min(strata, key=lambda key: sum((taken[label] + 1) / total[label] for label in enumerate(key)))
        taken.update(enumerate(key))
        chosen.append(strata[key].pop())
        if not strata[key]:
            del strata[key]
    return chosen


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def _some(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
