"""BDQ: an anonymizer with 16 learned numbers, which blurs frames and quantizes the differences between them."""

from pydantic import Field

from anon_tune.methods.spec import NO_REWRITING, MethodSpec
from anon_tune.recipe import Part


class BdqRecipe(Part):
    """Blur and quantization before training. The game changes sigma and the edges between the quantization steps."""

    sigma: float = Field(3.0, gt=0, le=64, description="sigma of the Gaussian before training, in pixels")
    radius: int = Field(2, ge=1, le=64, description="taps of the Gaussian on either side of the middle, in pixels")
    num_steps: int = Field(15, ge=1, le=255, description="number of quantization steps")
    hardness: float = Field(5.0, gt=0, le=100, description="steepness of a step; 1 is a standard sigmoid")
    largest_difference: float = Field(1 / 3, gt=0, le=1, description="larger differences of two frames are clamped")


SPEC = MethodSpec(
    name="bdq",
    summary="Blurs frames and quantizes their differences; blur and quantization are learned.",
    builder="anon_tune.methods.bdq.builder",
    source="Kumawat and Nagahara, arXiv:2208.02459. We differ as `anon_tune.networks.bdq.Bdq` says.",
    is_trained=True,
    section=BdqRecipe,
    fixes={
        "anonymizer.network": "bdq",
        **NO_REWRITING,
        "penalty.weight": 0.0,
    },
    uses=("anonymizer", "utility", "privacy", "training"),
    least_frames=2,
)
