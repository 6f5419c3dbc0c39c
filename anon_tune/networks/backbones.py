"""Classifying networks of torchvision and timm, and our I3D: a trunk that gets a head of the right size.

Shapes: B clips, T frames per clip, N frames, C = 3 channels, H height, W width, D features, K actions, A attributes,
O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.networks.inflated import NUM_FEATURES, inflated_trunk
from anon_tune.networks.privacy import PrivacyNetwork
from anon_tune.networks.utility import UtilityNetwork
from anon_tune.networks.weights import read_pretrained, take_tensors
from anon_tune.recipe import PrivacyRecipe, UtilityRecipe

I3D = "i3d_r50"

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
_NO_AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}
"""Networks with heads that are used in training only, which we leave out, and how their tensors begin."""


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A classifying network without its head.

    Attributes:
        trunk: Maps frames (N,3,H,W) to (N,D,h,w), or clips (B,3,T,H,W) to (B,D,t,h,w).
        num_features: D.
        of_clips: True if it takes clips.
        mean: Mean of each channel, by which the weights expect the input to be normalized.
        std: Standard deviation of each channel, likewise.
    """

    trunk: nn.Module
    num_features: int
    of_clips: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Pooled(nn.Module):
    """Gives pooled features (N,D) the shape of maps, (N,D,1,1) or (N,D,1,1,1), and resizes frames before if it must.

    Args:
        network: A network whose last layer is taken away.
        of_clips: True if it takes clips.
        size: H and W that the network needs, as transformers do; None for any.
    """

    def __init__(self, network: nn.Module, of_clips: bool, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.network, self.num_dims, self.size = network, 5 if of_clips else 4, size

    def forward(self, x: Tensor) -> Tensor:
        if self.size is not None and tuple(x.shape[-2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)
        features: Tensor = self.network(x)
        flat = features.flatten(1)
        return flat.view(*flat.shape, *[1] * (self.num_dims - 2))


class EachFrame(nn.Module):
    """Lets a trunk of frames look at clips (B,3,T,H,W), frame by frame: (B,D,T,h,w)."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, clips: Tensor) -> Tensor:
        maps: Tensor = self.trunk(clips.transpose(1, 2).flatten(0, 1))
        by_clip: Tensor = maps.unflatten(0, (len(clips), -1))
        return by_clip.transpose(1, 2)


class FrameAttacker(nn.Module):
    """Classifies the frames of clips with a backbone of frames, and averages the logits over the clip.

    In training it sees one frame of a clip, drawn anew each time, so that it sees more clips in the same time.
    """

    def __init__(self, backbone: Backbone, num_outputs: int) -> None:
        super().__init__()
        size = backbone.num_features, num_outputs
        self.network = PrivacyNetwork(backbone.trunk, *size, "attributes", mean=backbone.mean, std=backbone.std)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        if self.training:
            # Of a clip alone, two frames, because a network that normalizes over the batch needs two.
            at = torch.randint(clips.shape[1], (len(clips), 1 if len(clips) > 1 else 2)).to(clips.device)
            clips = clips[torch.arange(len(clips), device=clips.device)[:, None], at]
        logits: Tensor = self.network(clips.flatten(0, 1))
        by_clip: Tensor = logits.unflatten(0, (len(clips), -1))
        return by_clip.mean(dim=1)


def load_backbone(name: str, weights: str | None) -> Backbone:
    """Build a network without its head, by a name that is known to exist.

    Args:
        name: As ``torchvision:r3d_18``, ``timm:resnet50`` or ``i3d_r50``.
        weights: A local file of weights in the library's tensor names, whose head is left out; None for fresh weights.

    Raises:
        DataError: The file cannot be read or does not fit the network.
    """
    if name == I3D:
        return Backbone(inflated_trunk(weights), NUM_FEATURES, True, *_KINETICS)
    family, _, bare = name.partition(":")
    return _of_timm(bare, weights) if family == "timm" else _of_torchvision(bare, weights)


def _of_timm(name: str, weights: str | None) -> Backbone:
    import timm  # loads slowly

    settings = timm.get_pretrained_cfg(name)
    network: Any = timm.create_model(name, pretrained=False, num_classes=0)
    if weights is not None:
        heads = settings.classifier if settings is not None and settings.classifier else "fc"
        given = (heads,) if isinstance(heads, str) else tuple(heads)
        take_tensors(network, read_pretrained(weights), weights, head=tuple(f"{one}." for one in given))
    mean, std = (settings.mean, settings.std) if settings is not None else _IMAGENET
    size = settings.input_size[1:] if settings is not None and settings.fixed_input_size else None
    num_features = getattr(network, "head_hidden_size", None) or network.num_features
    return Backbone(Pooled(network, False, size), int(num_features), False, mean, std)


def _of_torchvision(name: str, weights: str | None) -> Backbone:
    from torchvision import models  # loads slowly
    from torchvision.models.video.resnet import VideoResNet

    of_clips = name in models.list_models(module=models.video)
    auxiliary = _NO_AUXILIARY.get(name, ())
    # These two take long to draw their weights the usual way.
    chosen = {"aux_logits": False, "init_weights": False} if auxiliary else {}
    network = models.get_model(name, weights=None, **chosen)
    head_name, head = _head(network)
    if weights is not None:
        take_tensors(network, read_pretrained(weights), weights, head=(f"{head_name}.", *auxiliary))
    trained_with = models.get_model_weights(name).DEFAULT.transforms()
    mean, std = tuple(trained_with.mean), tuple(trained_with.std)
    num_features = int(head.in_features if isinstance(head, nn.Linear) else head.in_channels)
    if isinstance(network, VideoResNet):
        trunk: nn.Module = nn.Sequential(network.stem, network.layer1, network.layer2, network.layer3, network.layer4)
        return Backbone(trunk, num_features, True, mean, std)
    if isinstance(network, models.ResNet):
        return Backbone(nn.Sequential(*list(network.children())[:-2]), num_features, False, mean, std)
    parent, _, last = head_name.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    side = 224 if name.startswith("maxvit") else getattr(network, "image_size", None)
    return Backbone(Pooled(network, of_clips, (side, side) if side else None), num_features, of_clips, mean, std)


def _head(network: nn.Module) -> tuple[str, Any]:
    """Return the last layer with classes as outputs, and its name: in every network of torchvision it is the last."""
    kinds = (nn.Linear, nn.Conv2d, nn.Conv3d)
    return [(name, module) for name, module in network.named_modules() if isinstance(module, kinds)][-1]


def build_utility(recipe: UtilityRecipe, num_actions: int) -> UtilityNetwork:
    """Build a utility network f_T. A network of frames looks at every frame, and its features are averaged."""
    return clip_classifier(recipe.network, num_actions, recipe.weights)


def clip_classifier(name: str, num_outputs: int, weights: str | None) -> UtilityNetwork:
    """Build a network that maps clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
    backbone = load_backbone(name, weights)
    trunk = backbone.trunk if backbone.of_clips else EachFrame(backbone.trunk)
    return UtilityNetwork(trunk, backbone.num_features, num_outputs, mean=backbone.mean, std=backbone.std)


def build_privacy(recipe: PrivacyRecipe, num_attributes: int) -> PrivacyNetwork:
    """Build a privacy branch f_B on frames."""
    backbone = load_backbone(recipe.network, recipe.weights)
    size = backbone.num_features, num_attributes
    return PrivacyNetwork(backbone.trunk, *size, recipe.head, mean=backbone.mean, std=backbone.std)


def build_attacker(name: str, num_attributes: int, weights: str | None) -> nn.Module:
    """Build an attacker that maps clips (B,T,C,H,W) in [0, 1] to logits (B,A)."""
    backbone = load_backbone(name, weights)
    if not backbone.of_clips:
        return FrameAttacker(backbone, num_attributes)
    size = backbone.num_features, num_attributes
    return UtilityNetwork(backbone.trunk, *size, mean=backbone.mean, std=backbone.std)
