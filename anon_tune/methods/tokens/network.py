"""The transformer that scores tubelets, and the anonymizer that keeps or fills them.

Shapes: B clips, T frames per clip, H height, W width, D width of a token, C class tokens (2 or 0), S slices of a clip,
M = h * w tubelets of a slice, N = S * M tubelets of a clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.methods.tokens import TokensRecipe
from anon_tune.methods.tokens.selection import attention_score, choose
from anon_tune.networks import Anonymizer

_HEADS = 4
_WAVES = 4  # frequencies of the position in each of three directions


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What the transformer makes of clips.

    Attributes:
        kept: 1 for tubelets that are kept and 0 for the others, (B,S,h,w), with a gradient.
        classes: The utility and the privacy token at the end, (B,C,D).
        probabilities: Keep probabilities (B,N) of every stage of a predictor.
    """

    kept: Tensor
    classes: Tensor
    probabilities: tuple[Tensor, ...]


class GatedLayer(nn.Module):
    """A transformer layer in which only a dropped token itself sees it: ``a_ij ~ exp(s_ij) m_j``, with ``m_ii = 1``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.three = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mixed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Tensor, gates: Tensor) -> Tensor:
        """Map tokens (B,K,D), whose gates (B,K) are 1 or 0, to tokens (B,K,D)."""
        q, k, v = self.three(self.before(tokens)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        weights = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp()
        own = torch.eye(tokens.shape[1], device=tokens.device, dtype=torch.bool)
        weights = weights * torch.where(own, 1.0, gates[:, None, None, :])
        mixed = (weights / weights.sum(dim=-1, keepdim=True)) @ v
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        layered: Tensor = tokens + self.mixed(tokens)
        return layered


class ClassAttention(nn.Module):
    """Attention of the two class tokens to the tubelets that were not dropped."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)

    def forward(self, classes: Tensor, tubelets: Tensor, alive: Tensor) -> Tensor:
        """Map classes (B,2,D), tubelets (B,N,D) and gates (B,N) to attention (B,2,N), which adds up to 1."""
        scores = self.query(self.before(classes)) @ self.key(self.before(tubelets)).transpose(1, 2)
        scores = scores / math.sqrt(tubelets.shape[-1])
        attention: Tensor = scores.masked_fill(alive.detach().unsqueeze(1) < 0.5, -math.inf).softmax(dim=-1)
        return attention


class Predictor(nn.Module):
    """STPrivacy's predictor: it sees a tubelet, the mean of its slice and the mean of its clip, and returns a logit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.second = nn.Sequential(
            nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width // 4), nn.GELU()
        )
        self.out = nn.Linear(width // 4, 1)

    def forward(self, tubelets: Tensor, alive: Tensor) -> Tensor:
        """Map tubelets (B,S,M,D) and gates (B,S,M) to logits (B,S,M)."""
        own, of_slice, of_clip = self.first(tubelets).chunk(3, dim=-1)
        gates = alive.unsqueeze(-1)
        slices = (of_slice * gates).sum(dim=2, keepdim=True) / gates.sum(dim=2, keepdim=True).clamp(min=1)
        clip = (of_clip * gates).sum(dim=(1, 2), keepdim=True) / gates.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        seen = torch.cat([own, slices.expand_as(own), clip.expand_as(own)], dim=-1)
        logits: Tensor = self.out(self.second(seen)).squeeze(-1)
        return logits


class Selector(nn.Module):
    """Chooses tubelets of clips."""

    def __init__(self, section: TokensRecipe) -> None:
        super().__init__()
        self.section, width = section, section.width
        self.patch = section.tubelet_frames, section.tubelet_side, section.tubelet_side
        by_attention = section.score == "attention"
        self.embed = nn.Linear(3 * math.prod(self.patch), width)
        self.place = nn.Linear(6 * _WAVES, width, bias=False)
        self.classes = nn.Parameter(0.02 * torch.randn(2 if by_attention else 0, width)) if by_attention else None
        self.layers = nn.ModuleList(GatedLayer(width) for _ in range(section.depth))
        self.scorers = nn.ModuleList(
            (ClassAttention if by_attention else Predictor)(width) for _ in range(section.stages)
        )

    def forward(self, clips: Tensor) -> Selection:
        """Choose tubelets of clips (B,T,3,H,W) in [0, 1] whose sizes are multiples of those of a tubelet."""
        section, (size, tall, wide) = self.section, self.patch
        cut = clips.unflatten(4, (-1, wide)).unflatten(3, (-1, tall)).unflatten(1, (-1, size))  # B,S,t,3,h,p,w,q
        cut = cut.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4)
        grid = cut.shape[1:4]
        tubelets = self.embed((cut - 0.5) * 4) + self.place(positions(grid).to(clips))
        tokens = tubelets.flatten(1, 3)
        num = 0 if self.classes is None else len(self.classes)
        if self.classes is not None:
            tokens = torch.cat([self.classes.expand(len(clips), -1, -1), tokens], dim=1)
        alive = tokens.new_ones(len(clips), grid[0], grid[1] * grid[2])
        probabilities: list[Tensor] = []
        last_layers = [-(-section.depth * stage // section.stages) - 1 for stage in range(1, section.stages + 1)]
        for at, layer in enumerate(self.layers):
            gates = torch.cat([tokens.new_ones(len(clips), num), alive.flatten(1)], dim=1)
            tokens = layer(tokens, gates)
            if at in last_layers:
                stage = last_layers.index(at)
                scores = self._scores(stage, tokens[:, :num], tokens[:, num:], alive)
                if self.classes is None:
                    probabilities.append(scores.flatten(1).sigmoid())
                share = section.keep ** ((stage + 1) / section.stages)
                alive = choose(scores, alive, share, section.quota == "slice", section.temperature)
        return Selection(alive.unflatten(2, grid[1:]), tokens[:, :num], tuple(probabilities))

    def _scores(self, stage: int, classes: Tensor, tubelets: Tensor, alive: Tensor) -> Tensor:
        if self.classes is None:
            logits: Tensor = self.scorers[stage](tubelets.unflatten(1, alive.shape[1:]), alive)
            return logits
        utility, privacy = self.scorers[stage](classes, tubelets, alive.flatten(1)).unbind(dim=1)
        return attention_score(utility, privacy, self.section.privacy_share).reshape(alive.shape)


class TokenDropper(Anonymizer):
    """Copies the tubelets that are kept, and fills the others.

    Tubelets are chosen at the size of the training clips, to which frames of another size are resized first. They are
    copied at the size of the frames. Before training, that size is not known, and frames are used as they are.
    """

    num_before = None

    def __init__(self, section: TokensRecipe) -> None:
        super().__init__()
        self.section = section
        self.selector = Selector(section)
        self.trained_on: Tensor  # T, H and W of the training clips; 0 if not trained
        self.register_buffer("trained_on", torch.zeros(3, dtype=torch.int64))
        self._frozen_size = (0, 0)

    def train(self, mode: bool = True) -> TokenDropper:
        """As for any module. What is traced in eval mode is traced for the training size of now."""
        self._frozen_size = self._read_size()
        super().train(mode)
        return self

    def _read_size(self) -> tuple[int, int]:
        height, width = self.trained_on[1:].tolist()
        return height, width

    @property
    def _size(self) -> tuple[int, int]:
        """H and W of a training clip; 0 if not trained. A tracer cannot read a tensor."""
        return self._frozen_size if torch.compiler.is_exporting() else self._read_size()

    @property
    def clip_frames(self) -> int | None:
        """Frames of a training clip; None if not trained."""
        return int(self.trained_on[0]) or None

    def select(self, clips: Tensor) -> Selection:
        """Choose tubelets of clips (B,T,3,H,W) of any size."""
        height, width = self._size
        if height and clips.shape[-2:] != (height, width):
            frames = F.interpolate(clips.flatten(0, 1), (height, width), mode="area")
            clips = frames.unflatten(0, clips.shape[:2])
        last = [
            -size % part for size, part in zip((clips.shape[1], *clips.shape[-2:]), self.selector.patch, strict=True)
        ]
        if any(last):
            volume = F.pad(clips.transpose(1, 2), (0, last[2], 0, last[1], 0, last[0]), mode="replicate")
            clips = volume.transpose(1, 2)
        selected: Selection = self.selector(clips)
        return selected

    def rewrite(self, clips: Tensor) -> Tensor:
        size, tall, wide = self.selector.patch
        kept = self.select(clips).kept
        mask = kept.repeat_interleave(size, 1).repeat_interleave(tall, 2).repeat_interleave(wide, 3)
        height, width = (trained or now for trained, now in zip(self._size, clips.shape[-2:], strict=True))
        mask = mask[:, : clips.shape[1], :height, :width]
        if mask.shape[-2:] != clips.shape[-2:]:
            mask = F.interpolate(mask, clips.shape[-2:], mode="nearest")
        mask = mask.unsqueeze(2)
        fill = torch.zeros_like(clips[:, :1, :, :1, :1])
        if self.section.fill == "mean":
            shown = mask.detach()
            fill = (clips * shown).sum(dim=(1, 3, 4), keepdim=True) / shown.sum(dim=(1, 3, 4), keepdim=True)
        return mask * clips + (1 - mask) * fill


def positions(grid: tuple[int, ...]) -> Tensor:
    """Return sines and cosines of the place of every tubelet, (S,h,w,6 * waves), for any number of tubelets."""
    steps = [(torch.arange(size) + 0.5) / size for size in grid]
    place = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1)
    angles = (place.unsqueeze(-1) * math.pi * 2 ** torch.arange(_WAVES)).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
