"""Canaries: clips whose leakage is known beforehand. An audit that measures one of them wrongly is refused.

Shapes: N clips of a split, A attributes.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from anon_tune.certificate import Attacker, Canary
from anon_tune.clips import ClipSet, one_per_clip
from anon_tune.evaluation.committee import with_committees
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Attack, Lab, Pieces, strongest
from anon_tune.evaluation.metrics import prevalence
from anon_tune.evaluation.resampling import NUM_PERMUTATIONS, chance_of_strongest, draw_resamples, percentiles
from anon_tune.evaluation.score import anonymize_split
from anon_tune.methods import build_anonymizer
from anon_tune.recipe import AuditRecipe, Recipe

Name = Literal["identity", "constant", "negative", "shuffled"]
CANARIES: tuple[Name, ...] = ("identity", "constant", "negative", "shuffled")

_ROUNDING = 1e-9


def keep_canaries(
    raw: Mapping[str, ClipSet], known: Sequence[Attacker], effort: AuditRecipe, device: torch.device, pieces: Pieces
) -> tuple[Canary, ...]:
    """Audit the canaries with fresh attackers of every family, with one new seed, and with their committee.

    * identity: raw clips. Normalized leakage must be 0.9 to 1.1, and above the range of chance.
    * constant: black clips. Leakage must be in the range of chance.
    * negative: one minus the clip, which looks foreign to people and to frozen attackers. Normalized leakage must be
      at least 0.9, and at least 0.9 times that of the identity canary.
    * shuffled: raw clips whose labels are permuted within each split. Leakage must be in the range of chance.

    The ceiling for normalized leakage is what the strongest fresh attacker of one seed finds on raw clips, averaged
    over seeds. It is a maximum over as many attackers as each canary gets. The bounds 0.9 and 1.1 are compared with a
    bootstrap interval, because on few test clips luck alone can move leakage by more than a tenth. The negative and the
    identity canary are compared on the same resamples. The range of chance lies between the smallest and the largest
    cMAP of the strongest attacker over 1000 permutations of the test labels. (The strongest of several blind attackers
    scores above the floor.) In a sound setup, the shuffled canary fails about once in five hundred audits.

    Args:
        raw: Clips of train, val and test.
        known: Results of the baseline's fresh attackers on the raw clips.
        effort: How long every attacker may train.
        device: Where to compute.
        pieces: Counts the trainings and reports each before it begins.
    """
    floor = prevalence(one_per_clip(raw["test"]).private)
    one_seed = [max(a.leakage for a in known if a.seed == seed) for seed in {a.seed for a in known}]
    span = float(np.mean(one_seed)) - floor
    canaries: list[Canary] = []
    identity: Attack | None = None
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        for name in CANARIES:
            splits = _disguise(name, raw, Path(scratch), effort, device)
            lab = Lab(splits, Effort.of_audit(effort), device, pieces)
            alone = list(lab.attacks([effort.seed + effort.num_seeds], {}))
            val, test = one_per_clip(splits["val"]), one_per_clip(splits["test"])
            tried = with_committees(alone, val, test)
            identity = identity or strongest(tried)  # identity is the first of the canaries
            canaries.append(_judge(name, tried, identity, test, floor, span, effort))
    return tuple(canaries)


def _disguise(
    name: Name, raw: Mapping[str, ClipSet], scratch: Path, effort: AuditRecipe, device: torch.device
) -> dict[str, ClipSet]:
    match name:
        case "identity":
            return dict(raw)
        case "constant":
            return {
                n: replace(s, frames=np.broadcast_to(np.zeros_like(s.frames[:1]), s.frames.shape))
                for n, s in raw.items()
            }
        case "negative":
            negative = build_anonymizer(Recipe(method="negative"))
            return {
                n: anonymize_split(negative, s, scratch / n, effort.batch_clips, device).clips for n, s in raw.items()
            }
        case "shuffled":
            rng = np.random.default_rng(effort.seed)
            mixed = {n: rng.permutation(one_per_clip(s).private) for n, s in raw.items()}
            return {n: replace(s, private=np.repeat(mixed[n], s.num_windows, axis=0)) for n, s in raw.items()}


def _judge(
    name: Name,
    tried: Sequence[Attack],
    identity: Attack,
    test: ClipSet,
    floor: float,
    span: float,
    effort: AuditRecipe,
) -> Canary:
    def normalized(value: float) -> float:
        return (value - floor) / span if span > 0 else math.nan

    best = strongest(tried)
    leakage = best.values["test"]
    low, high = chance_of_strongest(
        [attack.scores["test"] for attack in tried], test.private, NUM_PERMUTATIONS, effort.seed
    )
    if name in ("constant", "shuffled"):
        expected = f"{normalized(low):z.3f} to {normalized(high):z.3f}, by chance" if span > 0 else "by chance"
        passed = low - _ROUNDING <= leakage <= high + _ROUNDING
    else:
        resamples = draw_resamples(test.groups, effort.num_bootstraps, effort.seed)
        above = resamples.map_values(best.scores["test"], test.private) - floor
        least, most = percentiles(above, effort.confidence)
        if name == "identity":
            expected = "0.9 to 1.1 within its interval, and above chance"
            passed = most >= 0.9 * span > 0 and least <= 1.1 * span and leakage > high
        else:
            paired = resamples.map_values(identity.scores["test"], test.private) - floor
            expected = "at least 0.9 within its interval, and 0.9 of the identity canary's"
            passed = most >= 0.9 * span > 0 and percentiles(above - 0.9 * paired, effort.confidence)[1] >= 0
    return Canary(name=name, leakage_normalized=normalized(leakage), expected=expected, passed=passed)
