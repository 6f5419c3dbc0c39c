"""Utility networks f_T: action classifiers on clips.

Shapes: B clips, T frames per clip, C channels, H height, W width, K actions, D feature channels.
"""

from __future__ import annotations

from torch import Tensor, nn

from anon_tune.networks.convolutions import GRID, Readout, small3d
from anon_tune.networks.weights import load_weights
from anon_tune.recipe import UtilityRecipe

# Mean and standard deviation of Kinetics-400; torchvision's r3d_18 weights expect input normalized by them.
_MEAN, _STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class UtilityNetwork(nn.Module):
    """An action classifier: a trunk that maps (B,C,T,H,W) to (B,D,t,h,w), and a linear readout.

    Args:
        trunk: The convolutions.
        num_features: The number D of output channels of the trunk.
        num_actions: The number K of actions.
        grid: Side of the grid, in cells, over which the readout averages features.
        mean: Mean of each channel, by which the input is normalized.
        std: Standard deviation of each channel, by which the input is normalized.
    """

    def __init__(
        self,
        trunk: nn.Module,
        num_features: int,
        num_actions: int,
        grid: int = 1,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.25, 0.25, 0.25),
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.trunk = trunk
        self.head = Readout(num_features, num_actions, grid)

    def features(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to feature maps (B,D,t,h,w)."""
        out: Tensor = self.trunk(self.normalize(clips).transpose(1, 2))
        return out.to(clips.dtype)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,K)."""
        out: Tensor = self.head(self.features(clips))
        return out.to(clips.dtype)


class Normalize(nn.Module):
    """Subtracts a mean from each channel of (...,C,H,W) and divides by a standard deviation."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        mean = x.new_tensor(self.mean).view(-1, 1, 1)
        return (x - mean) / x.new_tensor(self.std).view(-1, 1, 1)


def build_small3d(recipe: UtilityRecipe, num_actions: int) -> UtilityNetwork:
    """Build a network of three convolutions."""
    trunk, num_features = small3d(width=16)
    small = UtilityNetwork(trunk, num_features, num_actions, GRID)
    load_weights(small, recipe.weights, head="head.")
    return small


def build_r3d_18(recipe: UtilityRecipe, num_actions: int) -> UtilityNetwork:
    """Build torchvision's 3D ResNet-18.

    Source:
        SPAct (arXiv:2203.15205). arXiv:2504.14301 uses I3D with a ResNet-50 instead.
    """
    from torchvision.models import video  # loads slowly

    net = video.r3d_18(weights=None)
    load_weights(net, recipe.weights, head="fc.")
    trunk = nn.Sequential(net.stem, net.layer1, net.layer2, net.layer3, net.layer4)
    return UtilityNetwork(trunk, 512, num_actions, mean=_MEAN, std=_STD)
