"""The network of BDQ, which blurs frames, takes differences and quantizes them.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width, Q steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anon_tune.networks.anonymizers import Anonymizer
from anon_tune.networks.filters import convolve, difference, gaussian_kernel
from anon_tune.recipe import AnonymizerRecipe


class Bdq(Anonymizer):
    """Blurs frames, takes the differences of successive frames and quantizes them in learned steps.

    Frames are blurred by a Gaussian of ``2 radius + 1`` taps with a learned sigma. Differences of successive frames
    (see `difference`) are clamped to [-largest_difference, largest_difference] and mapped to [0, Q]. The output is the
    sum of Q sigmoids divided by Q. Each sigmoid has a learned edge at its middle and is `hardness` times as steep as
    the standard one.

    Args:
        sigma: Standard deviation of the Gaussian before training, in pixels.
        radius: Taps of the Gaussian on either side of the middle, in pixels.
        num_steps: The number Q of steps.
        hardness: Steepness of a step; 1 is a standard sigmoid.
        largest_difference: Larger differences of two frames are clamped.

    Source:
        Kumawat and Nagahara, arXiv:2208.02459. We differ in three ways. Sigma is learned, beginning with the paper's 3.
        The first frame is kept and shows the same difference as the second. The range is fixed; in the released code
        it is that of the batch, so that clips depend on each other. It is a third of the full range, because larger
        differences are rare and the full range would leave most of the 15 steps unused.
    """

    num_before = 1

    def __init__(
        self,
        sigma: float = 3.0,
        radius: int = 2,
        num_steps: int = 15,
        hardness: float = 5.0,
        largest_difference: float = 1 / 3,
    ) -> None:
        super().__init__()
        self.radius, self.num_steps, self.hardness = radius, num_steps, hardness
        self.largest_difference = largest_difference
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))
        # Edges are fractions of the range, so that the learning rate of a network suits them.
        self.edges = nn.Parameter((torch.arange(num_steps) + 0.5) / num_steps)

    def rewrite(self, clips: Tensor) -> Tensor:
        num_steps = self.num_steps
        kernel = gaussian_kernel(self.log_sigma.exp(), self.radius)
        changes = difference(convolve(clips.flatten(0, 1), kernel).reshape(clips.shape))
        share = 0.5 + 0.5 * (changes / self.largest_difference).clamp(-1, 1)
        steps = torch.zeros_like(share)
        for edge in self.edges:  # one by one, because all at once would need Q copies of the clips
            steps = steps + torch.sigmoid(self.hardness * num_steps * (share - edge))
        return steps / num_steps


def build_bdq(recipe: AnonymizerRecipe) -> Bdq:
    """Build the network with the weights that it has before training."""
    return Bdq()
