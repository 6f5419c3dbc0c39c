"""A simulated lens whose aberrations are learned, so that it blurs what identifies and keeps what moves."""

from typing import Literal

from pydantic import Field

from anon_tune.methods.spec import NO_NETWORK, MethodSpec
from anon_tune.recipe import Part


class LearnedLensRecipe(Part):
    """The lens before training, its sensor, and the term that keeps its spot together."""

    num_zernike: Literal[15, 36] = Field(15, description="Zernike terms; all but piston and the two tilts are learned")
    num_colours: Literal[1, 3] = Field(3, description="1: one spot for all colours; 3: a spot for each colour")
    start: float = Field(0.5, gt=0, le=3, description="largest coefficient before training, in radians")
    read_noise: float = Field(0.02, ge=0, le=0.2, description="standard deviation of the sensor's noise, in [0, 1]")
    energy_weight: float = Field(1.0, ge=0, le=100, description="weight of the term on light far from the middle")
    energy_radius: float = Field(8.0, ge=1, le=16, description="pixels from the middle that light may reach for free")


SPEC = MethodSpec(
    name="learned-lens",
    summary="A simulated lens whose aberrations are learned against the privacy branch, with sensor noise.",
    builder="anon_tune.methods.learned_lens.builder",
    source="PrivHAR, Hinojosa et al., ECCV 2022. We differ as `anon_tune.methods.learned_lens.lens` says.",
    is_trained=True,
    section=LearnedLensRecipe,
    fixes={
        **NO_NETWORK,
        "penalty.weight": 0.0,
    },
    uses=("anonymizer", "utility", "privacy", "training"),
    attackers=("wiener-frame", "wiener-clip", "wiener-motion", "wiener-pixels", "wiener-descriptors"),
)
