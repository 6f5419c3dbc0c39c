"""Which attackers and which classifier a measurement trains, and how long each training may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from anon_tune.attackers import AttackerSpec, specs_of
from anon_tune.attackers.named import named_attacker
from anon_tune.evaluation.stop_rules import FixedSteps, Plateau, StopRule
from anon_tune.recipe import AuditRecipe, EvaluationRecipe, UtilityRecipe
from anon_tune.recipe.measuring import SMALL_CLASSIFIER
from anon_tune.utility_task import ACTION

_ACTIONS = UtilityRecipe()


@dataclass(frozen=True, slots=True)
class Effort:
    """Which attackers are tried, and how long each training may take.

    Attributes:
        attackers: Specs, in the order of the recipe; those that a method adds come last.
        fresh: Names of the attackers that are trained from scratch only, while the others start from raw-trained
            weights only; None to try both starts of every attacker.
        attack: When the training of an attacker from scratch ends.
        further: When the training of an attacker that starts from raw-trained weights ends.
        classify: When the training of the action classifier ends.
        batch_clips: Clips per batch.
        lr: Learning rate.
        width: Channels of the first layer of attackers and classifiers.
        seed: Seed of the classifier.
        classifier: The action classifier: ``small``, or a network by its name.
        task: Name of the utility task.
        segments: For the task ``anomaly``, the segments of a clip.
        files: Files of pretrained weights that attackers and the classifier start from, by the name of the network.
    """

    attackers: tuple[AttackerSpec, ...]
    fresh: tuple[str, ...] | None
    attack: StopRule
    further: StopRule
    classify: StopRule
    batch_clips: int
    lr: float
    width: int
    seed: int
    classifier: str = SMALL_CLASSIFIER
    files: Mapping[str, str] = field(default_factory=dict)
    task: str = ACTION.name
    segments: int = 1

    @classmethod
    def of_study(
        cls,
        recipe: EvaluationRecipe,
        full: bool,
        extra: Sequence[str | AttackerSpec] = (),
        utility: UtilityRecipe = _ACTIONS,
    ) -> Self:
        """Take the effort of a rung score or a full score: fixed steps, so that trials compare.

        Raises:
            RecipeError: The recipe names an unknown attacker.
        """
        effort, where = (recipe.full, "evaluation.full") if full else (recipe.rung, "evaluation.rung")
        return cls(
            specs_of(effort.attackers, extra, f"{where}.attackers"),
            effort.fresh,
            FixedSteps(effort.attacker_steps),
            FixedSteps(effort.num_further_steps),
            FixedSteps(effort.classifier_steps),
            recipe.batch_clips,
            recipe.lr,
            recipe.width,
            recipe.seed,
            _known_classifier(recipe.classifier, "evaluation.classifier"),
            recipe.files,
            utility.task,
            utility.segments,
        )

    @classmethod
    def of_audit(cls, recipe: AuditRecipe, extra: Sequence[str | AttackerSpec] = ()) -> Self:
        """Take the effort of an audit: until a plateau.

        Raises:
            RecipeError: The recipe names an unknown attacker.
        """
        return cls(
            specs_of(recipe.attackers, extra, "audit: 'attackers'"),
            None,
            Plateau(recipe.max_steps, recipe.check_steps, recipe.patience),
            Plateau(recipe.max_steps, recipe.check_steps, recipe.patience),
            Plateau(recipe.classifier_steps, recipe.check_steps, recipe.patience),
            recipe.batch_clips,
            recipe.lr,
            recipe.width,
            recipe.seed,
            _known_classifier(recipe.classifier, "audit: 'classifier'"),
            recipe.files,
            recipe.task,
            recipe.segments,
        )


def _known_classifier(name: str, where: str) -> str:
    """Return the name of an action classifier that exists.

    Raises:
        RecipeError, UsageError: As `anon_tune.attackers.find`.
    """
    return name if name == SMALL_CLASSIFIER else named_attacker(name, where).name
