"""What a measurement may spend: of a study, and of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from anon_tune.errors import RecipeError, suggest
from anon_tune.recipe.part import Part, Positive, refusal


class EffortRecipe(Part):
    """What one fresh attacker or classifier may spend; the same for every trial, or scores do not compare."""

    num_attackers: int = Field(3, ge=1, le=3, description="families, in the order frame, clip, motion")
    attacker_steps: Positive = Field(240, description="optimizer steps of each attacker")
    classifier_steps: Positive = Field(300, description="optimizer steps of the action classifier")


class EvaluationRecipe(Part):
    """The measurement. None of it may be searched."""

    rung: EffortRecipe = EffortRecipe(num_attackers=1, attacker_steps=120, classifier_steps=150)
    full: EffortRecipe = EffortRecipe()
    num_bootstraps: Positive = Field(200, description="resamples behind an interval")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    batch_clips: Positive = 16
    lr: float = Field(3e-3, gt=0, le=1)
    width: Positive = Field(16, multiple_of=4, description="channels of the first layer of attackers and classifiers")
    seed: int = Field(0, ge=0)


class AuditRecipe(Part):
    """What an audit may spend: far more than a study's measurement, until attackers stop to learn."""

    families: tuple[Literal["frame", "clip", "motion", "pixels"], ...] = Field(
        ("frame", "clip", "motion", "pixels"), min_length=1, description="attacker families"
    )
    num_seeds: Positive = Field(3, description="seeds of every family, fresh and from raw-trained weights")
    max_steps: Positive = Field(3200, description="optimizer steps of an attacker that does not stop to learn before")
    check_steps: Positive = Field(40, description="optimizer steps between two looks at the validation split")
    patience: Positive = Field(5, description="looks without a better value that make a plateau")
    classifier_steps: Positive = Field(600, description="as max_steps, of the action classifiers")
    reconstruction_steps: Positive = Field(400, description="optimizer steps of the reconstruction attacker")
    num_bootstraps: Positive = Field(1000, description="resamples behind an interval")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    batch_clips: Positive = 16
    lr: float = Field(3e-3, gt=0, le=1)
    width: Positive = Field(16, multiple_of=4, description="channels of the first layer of attackers and classifiers")
    codec: Literal["", "h264"] = Field("", description="round trip of all clips through this codec before any attack")
    crf: int = Field(23, ge=0, le=51, description="constant rate factor of the codec, 0 without loss")
    seed: int = Field(0, ge=0)

    @classmethod
    def from_params(cls, params: Mapping[str, Any], where: str = "audit") -> AuditRecipe:
        """Build one from names of its fields; what is not named keeps its default.

        Raises:
            RecipeError: On an unknown name or a value out of range.
        """
        for name in params:
            if name not in cls.model_fields:
                raise RecipeError(where, f"unknown name '{name}'", remedy=suggest(name, cls.model_fields))
        try:
            return cls.model_validate(dict(params))
        except ValidationError as error:
            raise refusal(error, where, "Change it") from None
