"""BDQ: an anonymizer of 16 numbers that blurs, takes differences of frames and quantizes them."""

from pydantic import Field

from anon_tune.methods.spec import MethodSpec
from anon_tune.recipe import Part


class BdqRecipe(Part):
    """Where the blur and the quantization begin; the game moves sigma and the edges of the steps."""

    sigma: float = Field(3.0, gt=0, le=64, description="of the Gaussian before training, in pixels")
    radius: int = Field(2, ge=1, le=64, description="taps of the Gaussian on either side of the middle, in pixels")
    num_steps: int = Field(15, ge=1, le=255, description="steps of the quantization")
    hardness: float = Field(5.0, gt=0, le=100, description="how steep a step is; 1 is a standard sigmoid")
    largest_difference: float = Field(1 / 3, gt=0, le=1, description="larger differences of two frames are cut")


SPEC = MethodSpec(
    name="bdq",
    summary="Learned blur, difference of frames and learned quantization.",
    builder="anon_tune.methods.bdq.network",
    source="Kumawat and Nagahara, arXiv:2208.02459. We differ as `anon_tune.methods.bdq.network` says.",
    is_trained=True,
    section=BdqRecipe,
    fixes={"anonymizer.network": "bdq", "anonymizer.pretrain_steps": 0, "penalty.weight": 0.0},
    uses=("anonymizer", "utility", "privacy", "training"),
)
