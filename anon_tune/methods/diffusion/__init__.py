"""Frames are drowned in noise in part and drawn anew by a small denoiser, trained on the training split's frames."""

from typing import Literal

from pydantic import Field

from anon_tune.methods.spec import NO_NETWORK, MethodSpec
from anon_tune.recipe import Part


class DiffusionRecipe(Part):
    """How far frames are drowned in noise, and how they are drawn anew."""

    strength: float = Field(0.4, ge=0, le=1, description="share of the noise steps; 0 keeps frames, 1 forgets them")
    num_redraw_steps: int = Field(5, ge=1, le=50, description="steps in which frames are drawn anew")
    eta: float = Field(0.0, ge=0, le=1, description="0: drawing adds no further noise; 1: as much as DDPM does")
    condition_scale: Literal[0, 4, 8] = Field(
        0, description="the denoiser also sees the frame, shrunk by this factor; 0 for never"
    )
    guidance: float = Field(
        0.0, ge=0, le=10, description="how strongly drawing turns away from what a privacy branch sees; 0 for no branch"
    )
    frames_per_clip: int = Field(
        4, ge=1, le=64, description="frames of each clip of a batch that the denoiser learns on"
    )
    base_channels: int = Field(16, multiple_of=8, ge=8, le=128, description="channels of the denoiser's first level")


SPEC = MethodSpec(
    name="diffusion",
    summary="Drowns frames in noise in part, and lets a small denoiser draw them anew.",
    builder="anon_tune.methods.diffusion.builder",
    source=(
        "SDEdit (arXiv:2108.01073) with DDIM (arXiv:2010.02502), guided away from an identity as in Diff-Privacy "
        "(arXiv:2309.05330). We differ as `anon_tune.methods.diffusion.anonymizer` says."
    ),
    is_trained=True,
    section=DiffusionRecipe,
    fixes={**NO_NETWORK, "training.precision": "float32", "training.clip_norm": 0.0, "training.accumulate": 1},
    uses=("anonymizer", "training"),
    needs=frozenset({"whole clips"}),
)
