"""Anonymizers from segmentation-models-pytorch: encoder and decoder networks that rewrite frames.

Shapes: N frames, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anon_tune.errors import RecipeError, cause_of
from anon_tune.networks.anonymizers import Bottleneck, FrameAnonymizer
from anon_tune.networks.utility import Normalize
from anon_tune.recipe import AnonymizerRecipe

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_DEPTH, _DECODER = 4, (256, 128, 64, 32)
_SIZED = ("unet", "unetplusplus", "manet")
"""Architectures whose decoder has channels that can be chosen; the others have those of the library."""


class Padded(nn.Module):
    """Lets a network that takes only multiples of a size rewrite frames of any size.

    Frames are normalized, continued by reflection to the next multiple at the bottom and at the right, and cropped
    after the network. A frame that is smaller than its continuation is reflected several times.

    Args:
        network: Maps frames (N,3,H,W) to frames of the same shape.
        multiple: What H and W of the network's input must be a multiple of, in pixels.
        mean: Mean of each channel, by which the input is normalized.
        std: Standard deviation of each channel, by which the input is normalized.
    """

    def __init__(self, network: nn.Module, multiple: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network, self.multiple, self.normalize = network, multiple, Normalize(mean, std)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (N,3,H,W) in [0, 1] to frames of the same shape."""
        height, width = frames.shape[-2:]
        rows, columns = (_reflected(size, size + -size % self.multiple, frames.device) for size in (height, width))
        whole = self.normalize(frames)[..., rows, :][..., columns]
        out: Tensor = self.network(whole)[..., :height, :width]
        return out


def _reflected(size: int, length: int, device: torch.device) -> Tensor:
    """Return the indices (length,) of a side that is continued by reflection, without its border pixel twice."""
    period = max(2 * (size - 1), 1)
    at = torch.arange(length, device=device) % period
    return torch.where(at < size, at, period - at)


def build_segmentation(recipe: AnonymizerRecipe) -> FrameAnonymizer:
    """Build an anonymizer ``smp:<architecture>-<encoder>`` with fresh weights and a sigmoid at its end.

    Raises:
        RecipeError: The library refuses this pair of architecture and encoder.

    Source:
        arXiv:2504.14301: UNet++ with a ResNet-18 encoder, depth 4, decoder of 256, 128, 64 and 32 channels, sigmoid.
    """
    import segmentation_models_pytorch as smp  # loads slowly

    architecture, _, encoder = recipe.network.removeprefix("smp:").partition("-")
    sizes = {"encoder_depth": _DEPTH, "decoder_channels": _DECODER} if architecture in _SIZED else {}
    try:
        network = smp.create_model(
            architecture, encoder, encoder_weights=None, in_channels=3, classes=3, activation="sigmoid", **sizes
        )
    except Exception as error:  # a library may raise anything
        rule = f"'anonymizer.network': '{recipe.network}' cannot be built"
        raise RecipeError("recipe", rule, remedy="Choose another encoder", cause=cause_of(error)) from None
    bottleneck = Bottleneck(recipe.grey, recipe.block, recipe.levels)
    return FrameAnonymizer(Padded(network, int(network.encoder.output_stride), _MEAN, _STD), bottleneck=bottleneck)
