"""Recipes: everything that one training run and its measurement depend on, frozen, checked, with a fingerprint."""

from anon_tune.recipe.measuring import (
    MEASURE_VERSION,
    AuditRecipe,
    EffortRecipe,
    EvaluationRecipe,
    is_measured_by,
    measured_before,
)
from anon_tune.recipe.part import Part, flat_names, flat_values, refusal
from anon_tune.recipe.private import DpRecipe
from anon_tune.recipe.recipe import Recipe, nest, recipe_names
from anon_tune.recipe.training import (
    NETWORK_BRANCH,
    AnonymizerRecipe,
    PenaltyRecipe,
    PrivacyRecipe,
    TrainingRecipe,
    UtilityRecipe,
)

__all__ = [
    "MEASURE_VERSION",
    "NETWORK_BRANCH",
    "AnonymizerRecipe",
    "AuditRecipe",
    "DpRecipe",
    "EffortRecipe",
    "EvaluationRecipe",
    "Part",
    "PenaltyRecipe",
    "PrivacyRecipe",
    "Recipe",
    "TrainingRecipe",
    "UtilityRecipe",
    "flat_names",
    "flat_values",
    "is_measured_by",
    "measured_before",
    "nest",
    "recipe_names",
    "refusal",
]
