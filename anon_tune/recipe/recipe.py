"""The recipe, which describes one trial completely, and the flat names of its values."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, SerializeAsAny, model_validator

from anon_tune.errors import RecipeError
from anon_tune.recipe.measuring import EvaluationRecipe
from anon_tune.recipe.part import Part, digest, flat_names, flat_values
from anon_tune.recipe.private import DpRecipe
from anon_tune.recipe.training import (
    NETWORK_BRANCH,
    AnonymizerRecipe,
    PenaltyRecipe,
    PrivacyRecipe,
    TrainingRecipe,
    UtilityRecipe,
)
from anon_tune.schedule import Schedule

_NEEDED_UNCHANGED = {"jitter": 0.0, "precision": "float32", "clip_norm": 0.0, "accumulate": 1}
"""Values of ``training`` that a private step ignores, and what they must be there."""


class Recipe(Part):
    """A complete description of one trial.

    ``method`` is a name from `anon_tune.methods`. The method ``adversarial`` is trained by the game with the values of
    the recipe. Other trained methods fix some of these values, or bring values of their own in ``section``. A
    closed-form method, such as ``blur:4`` or the anchors ``identity`` and ``black-out``, is only measured.
    `anon_tune.methods.make_recipe` makes a recipe from flat names; `anon_tune.methods.read_recipe` reads one from a
    file.
    """

    version: ClassVar[int] = 3  # since 3, branches learn the values of a category by a softmax

    method: str = "adversarial"
    anonymizer: AnonymizerRecipe = AnonymizerRecipe()
    utility: UtilityRecipe = UtilityRecipe()
    privacy: PrivacyRecipe = PrivacyRecipe()
    penalty: PenaltyRecipe = PenaltyRecipe()
    training: TrainingRecipe = TrainingRecipe()
    dp: DpRecipe = DpRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    section: SerializeAsAny[Part] | None = Field(None, description="the values that the method brings")

    @model_validator(mode="after")
    def _weights_are_not_negative(self) -> Self:
        for name, schedule in self._schedules():
            if schedule.lowest < 0:
                raise ValueError(f"'{name}' must be at least 0 at every step, got {schedule.lowest}")
        return self

    @model_validator(mode="after")
    def _a_start_is_imitated(self) -> Self:
        anonymizer = self.anonymizer
        if anonymizer.residual and anonymizer.pretrain_steps:
            needed = "'anonymizer.pretrain_steps' = 0, because the network begins with the outputs of the start"
            raise ValueError(f"'anonymizer.residual' needs {needed}")
        if anonymizer.start != "identity" and not (anonymizer.pretrain_steps or anonymizer.residual):
            needed = "'anonymizer.pretrain_steps' of at least 1 or 'anonymizer.residual'"
            raise ValueError(f"'anonymizer.start' = '{anonymizer.start}' needs {needed}")
        return self

    @model_validator(mode="after")
    def _outputs_have_a_middle(self) -> Self:
        if self.privacy.target == "uniform" and self.privacy.head != "attributes":
            raise ValueError("'privacy.target' = 'uniform' needs 'privacy.head' = 'attributes'")
        return self

    @model_validator(mode="after")
    def _attackers_have_labels(self) -> Self:
        if self.privacy.head == "nt_xent" and self.privacy.branches != (NETWORK_BRANCH,):
            got = ", ".join(self.privacy.branches)
            raise ValueError(f"'privacy.head' = 'nt_xent' needs 'privacy.branches' = '{NETWORK_BRANCH}', got {got}")
        return self

    @model_validator(mode="after")
    def _views_come_in_pairs(self) -> Self:
        training = self.training
        if self.privacy.head != "nt_xent":
            return self
        if training.stills_per_clip != 2 or training.batch_clips < 2:
            needed = "'training.stills_per_clip' = 2 and 'training.batch_clips' of at least 2"
            raise ValueError(f"'privacy.head' = 'nt_xent' needs {needed}")
        if training.batch_clips < 2 * training.accumulate:
            needed = "'training.accumulate' of at most half of 'training.batch_clips', to compare the clips of a part"
            raise ValueError(f"'privacy.head' = 'nt_xent' needs {needed}")
        return self

    @model_validator(mode="after")
    def _clips_are_learned_one_by_one(self) -> Self:
        """Refuse what mixes clips, so that no gradient belongs to one of them, and updates that are not accounted."""
        if not self.dp.is_on:
            return self
        privacy, reason = self.privacy, "private training ('dp') needs"
        if privacy.head == "nt_xent":
            raise ValueError(f"{reason} 'privacy.head' = 'attributes', because NT-Xent compares the clips of a batch")
        if privacy.branches != (NETWORK_BRANCH,):
            raise ValueError(f"{reason} 'privacy.branches' = '{NETWORK_BRANCH}', because attackers normalize a batch")
        if privacy.num_branches > 1 and privacy.driver == "strongest":
            raise ValueError(f"{reason} 'privacy.driver' = 'all', because the strongest branch depends on all clips")
        if privacy.restart_steps:
            raise ValueError(f"{reason} 'privacy.restart_steps' = 0, because branches learn again after a restart")
        for name, needed in _NEEDED_UNCHANGED.items():
            if getattr(self.training, name) != needed:
                raise ValueError(f"{reason} 'training.{name}' = {needed}, because its steps make no use of it")
        return self

    def _schedules(self) -> Iterator[tuple[str, Schedule]]:
        for part in ("anonymizer", "utility", "privacy", "penalty"):
            for key, value in getattr(self, part):
                if isinstance(value, Schedule):
                    yield f"{part}.{key}", value

    def with_weights(self, path: str | None) -> Recipe:
        """Return this recipe with another file of weights for the anonymizer to start from; None for fresh weights."""
        return self.model_copy(update={"anonymizer": self.anonymizer.model_copy(update={"weights": path})})

    def changes(self) -> dict[str, Any]:
        """Return the values that differ from their defaults, by flat dotted name, including those of the section."""
        usual = dict(flat_values(Recipe()))
        shared = flat_values(self.model_copy(update={"section": None}))
        own = self.section.changes() if self.section else {}
        changed = {name: value for name, value in shared if usual[name] != value}
        return changed | {f"section.{name}": value for name, value in own.items()}

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with anything that training or the measurement depends on."""
        versions = self._versions() | {"evaluation": self.evaluation.version}
        return digest({"versions": versions, "changes": self.changes()})

    def training_fingerprint(self) -> str:
        """Return 16 hex digits that change with anything that training depends on. A checkpoint stores them."""
        changes = {name: value for name, value in self.changes().items() if not name.startswith("evaluation.")}
        return digest({"versions": self._versions(), "changes": changes})

    def _versions(self) -> dict[str, int]:
        return {"recipe": self.version} | ({"section": self.section.version} if self.section else {})


def nest(params: Mapping[str, Any], where: str = "recipe") -> dict[str, Any]:
    """Turn flat dotted names into nested dicts; refuse a name that is both a value and a table."""
    tree: dict[str, Any] = {}
    for name in sorted(params):
        *path, leaf = name.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise RecipeError(where, f"'{name}' and one of its parents are both set", remedy="Keep one of the two")
        node[leaf] = params[name]
    return tree


@functools.cache
def recipe_names() -> frozenset[str]:
    """Return every flat dotted name that recipes of all methods share, including the fields of schedules."""
    return frozenset(flat_names(Recipe)) - {"section"}
