"""Which attackers and which classifier measure clips of a size, where a user names none."""

from __future__ import annotations

from anon_tune.recipe import AuditRecipe, EffortRecipe

LARGE_SIDE = 112
"""From this height and width on, as those of the published settings, clips show more than small networks can read."""

LARGE_ATTACKERS = ("timm:resnet18", "torchvision:r3d_18")
LARGE_CLASSIFIER = "torchvision:r3d_18"


def is_large(height: int, width: int) -> bool:
    """True if large networks measure clips of this size too; smaller clips suit small networks and CPUs."""
    return min(height, width) >= LARGE_SIDE


def values_by_size(height: int, width: int) -> dict[str, str | tuple[str, ...]]:
    """Return the recipe values that follow from the size of the clips of a study; none for small clips.

    The small attackers stay, because the strongest attacker counts and a large one without pretrained weights may learn
    too slowly.
    """
    if not is_large(height, width):
        return {}
    small = EffortRecipe().attackers
    return {
        "evaluation.full.attackers": (*small, *LARGE_ATTACKERS),
        "evaluation.classifier": LARGE_CLASSIFIER,
    }


def audit_by_size(effort: AuditRecipe, height: int, width: int) -> AuditRecipe:
    """Return an effort with large attackers and a large classifier for large clips, unless it names others."""
    if not is_large(height, width):
        return effort
    usual = {"attackers": (*effort.attackers, *LARGE_ATTACKERS), "classifier": LARGE_CLASSIFIER}
    return effort.model_copy(update={k: v for k, v in usual.items() if k not in effort.model_fields_set})
