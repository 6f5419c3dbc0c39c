"""Privacy networks f_B: they predict private attributes of a person from one frame.

Shapes: N frames, C channels, H height, W width, A attributes, E = 128 embedding dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.networks.convolutions import GRID, Readout, small2d
from anon_tune.networks.utility import Normalize
from anon_tune.networks.weights import load_weights
from anon_tune.recipe import PrivacyRecipe

if TYPE_CHECKING:
    from torchvision.models import ResNet

# Mean and standard deviation of ImageNet, by which torchvision's ResNet weights expect their input to be normalized.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EMBEDDING = 128


class PrivacyNetwork(nn.Module):
    """A trunk that maps frames (N,C,H,W) to (N,D,h,w), and a head with A logits, or with a unit vector for NT-Xent.

    Source:
        SPAct (arXiv:2203.15205): a ResNet-50 with an MLP to a normalized embedding of 128 dimensions, or with a head
        for attributes that is trained with binary cross-entropy.
    """

    def __init__(
        self,
        trunk: nn.Module,
        num_features: int,
        num_attributes: int,
        head: str,
        grid: int = 1,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.25, 0.25, 0.25),
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.trunk = trunk
        self.embeds = head == "nt_xent"
        self.head = (
            nn.Sequential(Readout(num_features, num_features, grid), nn.ReLU(), nn.Linear(num_features, _EMBEDDING))
            if self.embeds
            else Readout(num_features, num_attributes, grid)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (N,C,H,W) in [0, 1] to logits (N,A), or to unit vectors (N,E)."""
        x: Tensor = self.head(self.trunk(self.normalize(frames))).to(frames.dtype)
        return F.normalize(x, dim=1) if self.embeds else x


def build_small2d(recipe: PrivacyRecipe, num_attributes: int) -> PrivacyNetwork:
    """Build a network of three convolutions."""
    trunk, num_features = small2d(width=16)
    small = PrivacyNetwork(trunk, num_features, num_attributes, recipe.head, GRID)
    load_weights(small, recipe.weights, head="head.")
    return small


def build_resnet18(recipe: PrivacyRecipe, num_attributes: int) -> PrivacyNetwork:
    """Build torchvision's ResNet-18."""
    from torchvision import models  # loads slowly

    return _resnet(models.resnet18(weights=None), recipe, num_attributes)


def build_resnet50(recipe: PrivacyRecipe, num_attributes: int) -> PrivacyNetwork:
    """Build torchvision's ResNet-50."""
    from torchvision import models  # loads slowly

    return _resnet(models.resnet50(weights=None), recipe, num_attributes)


def _resnet(net: ResNet, recipe: PrivacyRecipe, num_attributes: int) -> PrivacyNetwork:
    load_weights(net, recipe.weights, head="fc.")
    trunk = nn.Sequential(*list(net.children())[:-2])
    return PrivacyNetwork(trunk, net.fc.in_features, num_attributes, recipe.head, mean=_MEAN, std=_STD)
