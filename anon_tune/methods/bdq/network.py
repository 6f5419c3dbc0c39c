"""The network of BDQ.

Shapes: B clips, T frames a clip, C = 3 channels (RGB), H height, W width, Q steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anon_tune.methods.bdq import BdqRecipe
from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import convolve, difference, gaussian_kernel
from anon_tune.recipe import Recipe


class Bdq(Anonymizer):
    """Blur, difference, quantization.

    Frames are blurred by a Gaussian of 2 radius + 1 taps with a learned sigma. Differences of successive frames
    (`difference`) are cut to [-largest_difference, largest_difference] and mapped to [0, Q]; the output is the sum
    of Q sigmoids, each `hardness` times as steep as the standard one and around a learned edge, over Q.

    Args:
        recipe: Where blur and quantization begin; None for the defaults.

    Source:
        Kumawat and Nagahara, arXiv:2208.02459. We differ: sigma is learned from its 3 on; the first frame
        is kept and repeats the second's difference; the range is fixed, where the released code takes
        the smallest and largest difference of the batch, so that clips depend on each other. Differences
        beyond a third are rare; the full range would leave most of the 15 steps unused.
    """

    num_before = 1

    def __init__(self, recipe: BdqRecipe | None = None) -> None:
        super().__init__()
        self.recipe = recipe = recipe or BdqRecipe()
        self.log_sigma = nn.Parameter(torch.tensor(math.log(recipe.sigma)))
        # As a share of the range, for steps of the size that suits a network's weights.
        self.edges = nn.Parameter((torch.arange(recipe.num_steps) + 0.5) / recipe.num_steps)

    def rewrite(self, clips: Tensor) -> Tensor:
        num_steps = self.recipe.num_steps
        kernel = gaussian_kernel(self.log_sigma.exp(), self.recipe.radius)
        changes = difference(convolve(clips.flatten(0, 1), kernel).reshape(clips.shape))
        share = 0.5 + 0.5 * (changes / self.recipe.largest_difference).clamp(-1, 1)
        steps = torch.zeros_like(share)
        for edge in self.edges:  # all at once would hold Q copies of the clips
            steps = steps + torch.sigmoid(self.recipe.hardness * num_steps * (share - edge))
        return steps / num_steps


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer with the weights that it has before training."""
    return Bdq(recipe.section if isinstance(recipe.section, BdqRecipe) else BdqRecipe())
