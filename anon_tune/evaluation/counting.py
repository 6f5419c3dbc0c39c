"""Counts of the clips of an audit, and checks that there are enough of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anon_tune.certificate import Data
from anon_tune.clips import ClipSet
from anon_tune.errors import DataError
from anon_tune.evaluation.resampling import draw_resamples

# Of each kind, of every attribute: fewer can be told, or missed, by luck.
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
        clips: As a user names them.
        fingerprint: Of the raw clip store.
        attributes: Names of the private attributes.
        actions: Names of the actions.
        codec: A codec the clips went through, else empty.

    Raises:
        DataError: Too few clips, or positives or negatives of an attribute.
    """
    check_clips(raw, attributes)
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
    )


def check_clips(raw: Mapping[str, ClipSet], attributes: Sequence[str]) -> None:
    """Check that every attribute has clips of both kinds in every split.

    Raises:
        DataError: One has not; names attribute, split and count.
    """
    for split, least in _LEAST.items():
        private = raw[split].private
        for name, positive in zip(attributes, private.sum(axis=0), strict=True):
            for kind, count in (("positive", int(positive)), ("negative", len(private) - int(positive))):
                if count < least:
                    rule = f"'{name}' must have at least {least} {kind} clips in the split '{split}'"
                    raise DataError("audit", rule, count, "Leave the attribute out, or import more clips")
