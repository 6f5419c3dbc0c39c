"""Counts of the clips of an audit, and checks that there are enough of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anon_tune.certificate import Data
from anon_tune.clips import ClipSet, one_per_clip
from anon_tune.errors import DataError
from anon_tune.evaluation.resampling import draw_resamples

# Fewest positive and fewest negative clips of every attribute. With fewer, luck decides what an attacker finds.
_LEAST = {"train": 2, "val": 1, "test": 2}


def count_data(
    raw: Mapping[str, ClipSet],
    clips: str,
    fingerprint: str,
    attributes: Sequence[str],
    actions: Sequence[str],
    codec: str = "",
) -> Data:
    """Return the section of a certificate that describes the clips.

    Args:
        raw: Clips of train, val and test.
        clips: The clip store, as a user names it.
        fingerprint: Fingerprint of the raw clip store.
        attributes: Names of the private attributes.
        actions: Names of the actions.
        codec: Codec that the clips went through; empty if none.

    Raises:
        DataError: A split has too few positive or negative clips of an attribute.
    """
    check_clips(raw, attributes)
    num_windows = raw["test"].num_windows
    raw = {name: one_per_clip(split) for name, split in raw.items()}
    return Data(
        clips=clips,
        fingerprint=fingerprint,
        num_train_clips=len(raw["train"]),
        num_validation_clips=len(raw["val"]),
        num_test_clips=len(raw["test"]),
        attributes=tuple(attributes),
        actions=tuple(actions),
        resampled=draw_resamples(raw["test"].groups, 1, 0).unit,
        codec=codec,
        num_windows=num_windows,
    )


def check_clips(raw: Mapping[str, ClipSet], attributes: Sequence[str]) -> None:
    """Check that every attribute has enough positive and enough negative clips in every split.

    Raises:
        DataError: An attribute has too few; the error names attribute, split and count.
    """
    for split, least in _LEAST.items():
        private = one_per_clip(raw[split]).private
        for name, positive in zip(attributes, private.sum(axis=0), strict=True):
            for kind, count in (("positive", int(positive)), ("negative", len(private) - int(positive))):
                if count < least:
                    rule = f"'{name}' must have at least {least} {kind} clips in the split '{split}'"
                    raise DataError("audit", rule, count, "Leave the attribute out, or import more clips")
