"""Everything that one training run and its measurement depend on: frozen, checked, with a fingerprint."""

from anon_tune.recipe.measuring import AuditRecipe, EffortRecipe, EvaluationRecipe
from anon_tune.recipe.part import Part, flat_names, flat_values, refusal
from anon_tune.recipe.recipe import Recipe, nest, recipe_names
from anon_tune.recipe.training import AnonymizerRecipe, PenaltyRecipe, PrivacyRecipe, TrainingRecipe, UtilityRecipe

__all__ = [
    "AnonymizerRecipe",
    "AuditRecipe",
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
    "nest",
    "recipe_names",
    "refusal",
]
