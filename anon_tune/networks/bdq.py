"""BDQ: an anonymizer of 16 numbers that blurs, takes differences of frames and quantizes them.

Shapes: B clips, T frames a clip, C = 3 channels (RGB), H height, W width, Q = 15 steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anon_tune.networks.anonymizers import Anonymizer
from anon_tune.networks.closed_form import difference
from anon_tune.networks.filters import convolve, gaussian_kernel
from anon_tune.recipe import AnonymizerRecipe

_RADIUS = 2
_SIGMA = 3.0
_NUM_STEPS = 15
_HARDNESS = 5.0
_LARGEST_DIFFERENCE = 1 / 3


class Bdq(Anonymizer):
    """Blur, difference, quantization.

    Frames are blurred by a 5x5 Gaussian with a learned sigma. Differences of successive frames (`difference`)
    are cut to [-1/3, 1/3] and mapped to [0, 15]; the output is the sum of 15 sigmoids, each 5 times as steep as
    the standard one and around a learned edge, over 15.

    Source:
        Kumawat and Nagahara, arXiv:2208.02459. We differ: sigma is learned from its 3 on; the first frame
        is kept and repeats the second's difference; the range is fixed, where the released code takes
        the smallest and largest difference of the batch, so that clips depend on each other. Differences
        beyond a third are rare; the full range would leave most of the 15 steps unused.
    """

    num_before = 1

    def __init__(self) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor(math.log(_SIGMA)))
        # As a share of the range, for steps of the size that suits a network's weights.
        self.edges = nn.Parameter((torch.arange(_NUM_STEPS) + 0.5) / _NUM_STEPS)

    def rewrite(self, clips: Tensor) -> Tensor:
        kernel = gaussian_kernel(self.log_sigma.exp(), _RADIUS)
        changes = difference(convolve(clips.flatten(0, 1), kernel).reshape(clips.shape))
        share = 0.5 + 0.5 * (changes / _LARGEST_DIFFERENCE).clamp(-1, 1)
        steps = torch.zeros_like(share)
        for edge in self.edges:  # all at once would hold 15 copies of the clips
            steps = steps + torch.sigmoid(_HARDNESS * _NUM_STEPS * (share - edge))
        return steps / _NUM_STEPS


def build_bdq(recipe: AnonymizerRecipe) -> Bdq:
    """Build one with its first values."""
    return Bdq()
