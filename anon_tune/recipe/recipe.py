"""One trial, wholly described, and the flat names of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator

from anon_tune.errors import RecipeError, suggest
from anon_tune.method import TRAINED, parse_method
from anon_tune.recipe.measuring import EvaluationRecipe
from anon_tune.recipe.old_names import with_new_names
from anon_tune.recipe.part import Part, refusal
from anon_tune.recipe.training import AnonymizerRecipe, PenaltyRecipe, PrivacyRecipe, TrainingRecipe, UtilityRecipe
from anon_tune.schedule import Schedule


class Recipe(Part):
    """One trial, wholly described.

    ``method`` names the anonymizer, as in `anon_tune.method`: ``adversarial`` is trained by the game with the
    values of the recipe, other trained ones fix some of these values, and a closed-form one, such as
    ``blur:4`` or the anchors ``identity`` and ``black-out``, is only measured.

    Example:
        >>> Recipe.from_params({"penalty.weight": 2.0}).penalty.weight.start
        2.0
    """

    method: str = "adversarial"
    anonymizer: AnonymizerRecipe = AnonymizerRecipe()
    utility: UtilityRecipe = UtilityRecipe()
    privacy: PrivacyRecipe = PrivacyRecipe()
    penalty: PenaltyRecipe = PenaltyRecipe()
    training: TrainingRecipe = TrainingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="after")
    def _weights_are_not_negative(self) -> Self:
        for name, schedule in self._schedules():
            if schedule.lowest < 0:
                raise ValueError(f"'{name}' must be at least 0 at every step, got {schedule.lowest}")
        return self

    @model_validator(mode="after")
    def _outputs_have_a_middle(self) -> Self:
        if self.privacy.target == "uniform" and self.privacy.head != "attributes":
            raise ValueError("'privacy.target' = 'uniform' needs 'privacy.head' = 'attributes'")
        return self

    @model_validator(mode="after")
    def _views_come_in_pairs(self) -> Self:
        training = self.training
        if self.privacy.head == "nt_xent" and (training.stills_per_clip != 2 or training.batch_clips < 2):
            raise ValueError("'nt_xent' needs 'training.stills_per_clip' = 2 and 'training.batch_clips' of at least 2")
        return self

    def _schedules(self) -> Iterator[tuple[str, Schedule]]:
        for part in ("anonymizer", "utility", "privacy", "penalty"):
            for key, value in getattr(self, part):
                if isinstance(value, Schedule):
                    yield f"{part}.{key}", value

    @classmethod
    def from_params(cls, params: Mapping[str, Any], where: str = "recipe") -> Recipe:
        """Build a recipe from flat dotted names; what is not named keeps its default.

        A schedule takes a number (``penalty.weight``) or its own fields (``penalty.weight.kind``).

        Args:
            params: Flat dotted names to plain values.
            where: The file or option named in an error.

        Raises:
            RecipeError: On an unknown name or a value out of range.
        """
        known, params = recipe_names(), with_new_names(params, where)
        for name in params:
            if name not in known:
                raise RecipeError(where, f"unknown name '{name}'", remedy=suggest(name, known))
        tree = nest(_with_method(params, where), where)
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise refusal(error, where, "Change it in the file or with --set") from None


def _with_method(params: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Add the values that make a trained method what it is; refuse others in their place."""
    method = parse_method(str(params.get("method", "adversarial")), f"{where}: method")
    for key in params:
        if method.sets(key):
            rule = f"'{key}' is set by the method '{method.name}'"
            raise RecipeError(where, rule, params[key], "Leave it out, or choose the method 'adversarial'")
    return {**params, **TRAINED.get(method.name, {})}


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


def recipe_names() -> frozenset[str]:
    """Return every flat dotted name a recipe knows, schedules both whole and by field."""

    def walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
        for key, info in model.model_fields.items():
            kind = info.annotation
            if kind is Schedule:
                yield prefix + key
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from walk(kind, f"{prefix}{key}.")
            else:
                yield prefix + key

    return frozenset(walk(Recipe, ""))
