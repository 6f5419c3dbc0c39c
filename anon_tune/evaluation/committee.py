"""A committee: the weighted sum of the scores of all families; on each attribute, better attackers weigh more.

Shapes: N clips of a split, A attributes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anon_tune.attackers import Fit
from anon_tune.certificate import COMMITTEE
from anon_tune.clips import ClipSet
from anon_tune.evaluation.lab import Attack
from anon_tune.evaluation.metrics import Floats, average_precisions, class_mean_ap


def with_committees(attacks: Sequence[Attack], val: ClipSet, test: ClipSet) -> list[Attack]:
    """Return the attackers, plus one committee for every start and seed that several families share.

    Nothing is trained: a committee only combines the scores of its members.

    Args:
        attacks: Attackers of single families.
        val: The split on which the weights of the members are chosen.
        test: The split that is reported.
    """
    alike: dict[tuple[str, int], list[Attack]] = {}
    for attack in attacks:
        alike.setdefault((attack.start, attack.seed), []).append(attack)
    return [*attacks, *(committee(members, val, test) for members in alike.values() if len(members) > 1)]


def committee(members: Sequence[Attack], val: ClipSet, test: ClipSet) -> Attack:
    """Return the committee of some attackers; it has the start and the seed of the member that is best on ``val``."""
    heard = weights([member.scores["val"] for member in members], val.private)
    on_val, on_test = _sum(members, heard)
    best = max(members, key=lambda member: member.values["val"])
    return Attack(
        family=COMMITTEE,
        start=best.start,
        seed=best.seed,
        fit=Fit(plateau=all(member.fit.plateau for member in members)),
        scores={"val": on_val, "test": on_test},
        values={"val": class_mean_ap(on_val, val.private), "test": class_mean_ap(on_test, test.private)},
        network=best.network,
        inputs=best.inputs,
    )


def weights(scores: Sequence[Floats], labels: NDArray[np.uint8]) -> list[Floats]:
    """Return the weight of each member on each attribute, (A,), at least 0.

    The weight is the square of the difference between the member's average precision and the floor. A member that is
    not better than chance on an attribute gets weight 0 there, and a weak member gets little weight. Members weigh
    alike on an attribute that no validation clip has.

    Args:
        scores: Scores of each member on the validation split (N,A).
        labels: (N,A).
    """
    floor = labels.mean(axis=0)
    known = labels.any(axis=0)
    return [np.where(known, np.maximum(0, average_precisions(one, labels) - floor) ** 2, 1) for one in scores]


def _sum(members: Sequence[Attack], heard: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return the weighted sums of standardized scores on the validation and the test split, (N,A) each."""
    first = members[0].scores
    on_val, on_test = np.zeros_like(first["val"]), np.zeros_like(first["test"])
    for member, weight in zip(members, heard, strict=True):
        val, test = member.scores["val"], member.scores["test"]
        centre, spread = val.mean(axis=0), val.std(axis=0)
        scale = weight / np.where(spread > 0, spread, 1)
        on_val += (val - centre) * scale
        on_test += (test - centre) * scale
    return on_val, on_test
