"""Wavelet bands with a network, a distortion threshold and a privacy weight each."""

from pydantic import Field

from anon_tune.methods.spec import MethodSpec
from anon_tune.recipe import Part


class WaveletRecipe(Part):
    """The bands of the Haar transform. Thresholds are in the units of a band: the low one reaches to 2^levels."""

    levels: int = Field(1, ge=1, le=3, description="levels of the transform; each adds a band of details")
    threshold_low: float = Field(0.2, ge=0, le=8, description="RMS change of the low band that is free")
    threshold_high: float = Field(0.05, ge=0, le=4, description="RMS change of the details that is free")
    penalty_weight: float = Field(1.0, ge=0, le=1000, description="weight of the penalty on changes beyond a threshold")
    privacy_low: float = Field(1.0, ge=0, le=100, description="what counts for the low band, times 'privacy.weight'")
    privacy_high: float = Field(1.0, ge=0, le=100, description="what counts for the details, times 'privacy.weight'")
    compensator: bool = Field(False, description="one more network on the joined frames, whose output attackers see")


SPEC = MethodSpec(
    name="wavelet",
    summary="Rewrites coarse and fine detail by a network each, with a threshold and a privacy weight a band.",
    builder="anon_tune.methods.wavelet.builder",
    source="Facial expression recognition with controlled privacy preservation, arXiv:2412.00277. We differ as "
    "`anon_tune.methods.wavelet.builder` says.",
    is_trained=True,
    section=WaveletRecipe,
    fixes={"anonymizer.network": "unet_small", "anonymizer.residual": False, "penalty.weight": 0.0},
    uses=("anonymizer", "utility", "privacy", "training"),
    attackers=("low-band", "high-band"),
)
