"""I3D with a ResNet-50: a 2D ResNet whose convolutions are inflated to 3D.

Shapes: B clips, T frames per clip, C channels, H height, W width, D = 2048 features.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from anon_tune.networks.weights import read_pretrained, take_tensors

NUM_FEATURES = 2048
_STAGES = ((64, 3, 1, (3, 3, 3)), (128, 4, 2, (3, 1, 3, 1)), (256, 6, 2, (3, 1, 3, 1, 3, 1)), (512, 3, 2, (1, 3, 1)))
"""Channels, number of blocks, stride in space, and frames that the first convolution of each block sees."""


class _Block(nn.Module):
    """A bottleneck block. Only its first convolution looks at other frames. Tensors have the names of torchvision."""

    def __init__(self, num_in: int, channels: int, stride: int, num_frames: int) -> None:
        super().__init__()
        num_out = 4 * channels
        self.conv1 = nn.Conv3d(num_in, channels, (num_frames, 1, 1), padding=(num_frames // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.conv3 = nn.Conv3d(channels, num_out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(num_out)
        self.relu = nn.ReLU(inplace=True)
        changes = stride != 1 or num_in != num_out
        self.downsample = (
            nn.Sequential(nn.Conv3d(num_in, num_out, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(num_out))
            if changes
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out)) + self.downsample(x)
        shown: Tensor = self.relu(out)
        return shown


class I3dR50(nn.Module):
    """Maps clips (B,3,T,H,W) to features (B,D,T/2,H/32,W/32).

    Source:
        Carreira and Zisserman, arXiv:1705.07750 (inflation), and Wang et al., arXiv:1711.07971 (which convolutions of a
        ResNet-50 are inflated). We differ: the first convolution keeps all frames, and time is halved once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.timepool = nn.MaxPool3d((2, 1, 1), (2, 1, 1), ceil_mode=True)  # so that a single frame stays one
        num_in, stages = 64, []
        for channels, num_blocks, stride, sees in _STAGES:
            blocks = []
            for at in range(num_blocks):
                blocks.append(_Block(num_in, channels, stride if at == 0 else 1, sees[at]))
                num_in = 4 * channels
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clips: Tensor) -> Tensor:
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(clips)))))
        out: Tensor = self.layer4(self.layer3(self.layer2(self.timepool(x))))
        return out


def inflate(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Repeat the 2D kernels (O,C,h,w) of an image network over time, divided by the number of frames.

    A clip that stands still then has the features of its frame, except near the clip's ends.

    Args:
        given: Tensors of a ResNet-50 or of an `I3dR50`.
        own: Tensors of the network that will get them.
    """
    made = dict(given)
    for name, kernel in given.items():
        if name in own and own[name].dim() == 5 and kernel.dim() == 4:
            num_frames = own[name].shape[2]
            made[name] = kernel.unsqueeze(2).repeat(1, 1, num_frames, 1, 1) / num_frames
    return made


def inflated_trunk(weights: str | None) -> I3dR50:
    """Build the network with fresh weights, or with those of a local file of torchvision's ResNet-50 or of I3D."""
    trunk = I3dR50()
    if weights is not None:
        take_tensors(trunk, inflate(read_pretrained(weights), trunk.state_dict()), weights, head="fc.")
    return trunk
