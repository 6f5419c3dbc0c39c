"""The values of differentially private training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from anon_tune.recipe.part import Part


class DpRecipe(Part):
    """Differentially private training of the game by DP-SGD. It is on if `clip_norm` and `noise_multiplier` are set.

    The gradient of each unit is clipped, the clipped gradients of a random sample are added up, and Gaussian noise is
    added to the sum. Two data sets are neighbours if one has one unit more than the other.
    """

    clip_norm: float | None = Field(
        None, gt=0, le=1e6, description="norm to which the gradient of each unit is clipped"
    )
    noise_multiplier: float | None = Field(
        None, le=1e4, description="standard deviation of the noise, above 0, as a multiple of clip_norm"
    )
    sampling: Literal["poisson"] = Field(
        "poisson",
        description="each unit is in a batch with probability batch_clips / (number of training clips), independently",
    )
    unit: Literal["clips", "groups"] = Field(
        "clips", description="what is protected: one clip, or all clips of a group, such as a person"
    )
    region: Literal["everything", "persons"] = Field(
        "everything",
        description="which part of a clip is protected: all of it, or only the pixels of persons; persons needs clips "
        "with person masks",
    )
    delta: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="delta of the privacy statement, below 1 / (number of units); None for 1 / (10 x number of units)",
    )

    @property
    def is_on(self) -> bool:
        """True if training is private."""
        return self.clip_norm is not None

    @field_validator("noise_multiplier")
    @classmethod
    def _there_is_noise(cls, value: float | None) -> float | None:
        if value is not None and not value > 0:
            raise ValueError("must be above 0, because nothing is private without noise")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.clip_norm is None) != (self.noise_multiplier is None):
            missing = "clip_norm" if self.clip_norm is None else "noise_multiplier"
            raise ValueError(f"needs 'dp.{missing}' too")
        changed = [name for name, info in type(self).model_fields.items() if getattr(self, name) != info.default]
        if not self.is_on and changed:
            raise ValueError(f"'dp.{changed[0]}' needs 'dp.clip_norm' and 'dp.noise_multiplier'")
        return self
