"""Tubelets of a clip that are kept or dropped, by what they are worth to the task and to an attacker."""

from typing import Literal

from pydantic import Field

from anon_tune.methods.spec import NO_REWRITING, MethodSpec
from anon_tune.recipe import Part


class TokensRecipe(Part):
    """A small transformer on tubelets, and how it chooses those that are kept."""

    score: Literal["attention", "predictor"] = Field(
        "attention", description="attention of a utility and a privacy token, or a predictor with a ratio loss"
    )
    keep: float = Field(0.5, ge=0.05, le=1, description="share of the tubelets that are kept")
    quota: Literal["clip", "slice"] = Field(
        "clip", description="the share is kept of a clip, or of each of its slices, which are as long as a tubelet"
    )
    privacy_share: float = Field(
        1.0, ge=0, le=10, description="attention of the privacy token, as a multiple of that of the utility token"
    )
    token_weight: float = Field(1.0, ge=0, le=100, description="weight of the losses by which the two tokens learn")
    ratio_weight: float = Field(2.0, ge=0, le=100, description="weight of the predictor's ratio loss")
    stages: int = Field(1, ge=1, le=3, description="times that tubelets are dropped, after evenly spread layers")
    depth: int = Field(3, ge=3, le=12, description="layers of the transformer")
    width: int = Field(48, ge=24, le=384, multiple_of=12, description="length of a token")
    tubelet_frames: int = Field(2, ge=1, le=16, description="frames of a tubelet")
    tubelet_side: int = Field(8, ge=2, le=64, description="side of a tubelet in pixels of the training clips")
    temperature: float = Field(1.0, ge=0.1, le=10, description="how far from the border a score still has a gradient")
    fill: Literal["black", "mean"] = Field(
        "black", description="what replaces dropped tubelets: black, or the mean colour of those that are kept"
    )


SPEC = MethodSpec(
    name="tokens",
    summary="Keeps some tubelets of a clip as they are and fills the others; a transformer chooses.",
    builder="anon_tune.methods.tokens.builder",
    source="STPrivacy (arXiv:2301.03046) and From Pixels to Privacy (arXiv:2603.26336). We differ as "
    "`anon_tune.methods.tokens.builder` says.",
    is_trained=True,
    section=TokensRecipe,
    fixes={
        "anonymizer.network": "unet_small",
        **NO_REWRITING,
        "penalty.weight": 0.0,
    },
    uses=("anonymizer", "utility", "privacy", "training"),
    needs=frozenset({"whole clips"}),
    attackers=("token-mask",),
)
