"""The anonymizer that drowns frames in noise in part and draws them anew.

Shapes: B clips, T frames per clip, N frames, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

from anon_tune.methods.diffusion import DiffusionRecipe
from anon_tune.methods.diffusion.denoiser import NUM_STEPS, Denoiser, Embedder, kept_signal
from anon_tune.networks import Anonymizer
from anon_tune.networks.keyed_numbers import KeyedNumbers
from anon_tune.networks.secret_noise import numbers_of

_PIXELS = 2**19  # of the frames that go through the denoiser together


class Diffusion(Anonymizer):
    """Adds noise to frames up to a step, then removes it by a denoiser in a few steps.

    All frames of a clip get the same noise, so that the picture does not flicker. The noise is that of
    `anon_tune.networks.secret_noise`: who knew it could undo the first half exactly. What comes out is no
    differentially private release; only a measured leakage tells what is left. The denoiser learns on the training
    split, and people in it may be drawn again in other clips: see `anon_tune.methods.diffusion.redrawn`.

    Args:
        section: The values of the recipe.

    Source:
        SDEdit (arXiv:2108.01073) with the sampler of DDIM (arXiv:2010.02502). The guidance follows the idea of
        Diff-Privacy (arXiv:2309.05330): each step moves against the gradient of ``max(0, cosine)`` between what a
        privacy branch sees in the drawn frame and in the raw one. We differ: a small denoiser of our own instead of
        Stable Diffusion, a branch trained on the training split instead of ArcFace, no second picture to be unlike,
        and no key by which the raw frame could be found again.
    """

    num_before = None
    signal: Tensor

    def __init__(self, section: DiffusionRecipe) -> None:
        super().__init__()
        self.section = section
        self.denoiser = Denoiser(section.base_channels, sees_condition=section.condition_scale > 0)
        self.embedder = Embedder() if section.guidance else None
        self.register_buffer("signal", kept_signal().float(), persistent=False)

    def rewrite(self, clips: Tensor) -> Tensor:
        return torch.stack([self.redraw(clip, numbers_of(clip, "diffusion")) for clip in clips])

    def redraw(self, clip: Tensor, noise: KeyedNumbers) -> Tensor:
        """Return a clip (T,3,H,W) in [0, 1] drawn anew, with noise from a stream of numbers."""
        section = self.section
        start = round(section.strength * NUM_STEPS) - 1
        if start < 0:
            return clip
        raw = clip * 2 - 1
        condition = self.condition(raw)
        signal = self.signal[start]
        # With all noise steps nothing of the frame is left, so that drawing begins with noise alone.
        signal = signal * (section.strength < 1)
        x = signal.sqrt() * raw + (1 - signal).sqrt() * self._draw(clip, noise)
        steps = torch.linspace(start, -1, min(section.num_redraw_steps, start + 1) + 1).round().long().tolist()
        for step, after in itertools.pairwise(steps):
            x = self._step(x, raw, condition, step, after, noise)
        return (x + 1) / 2

    def condition(self, frames: Tensor) -> Tensor | None:
        """Return frames (N,3,H,W) of coarse blocks that the denoiser sees too; None if it sees none."""
        scale = self.section.condition_scale
        if not scale:
            return None
        height, width = frames.shape[-2:]
        small = F.interpolate(frames, (max(1, height // scale), max(1, width // scale)), mode="area")
        return F.interpolate(small, (height, width), mode="nearest")

    def _step(
        self, x: Tensor, raw: Tensor, condition: Tensor | None, step: int, after: int, noise: KeyedNumbers
    ) -> Tensor:
        found = self._noise_in(x, condition, step)
        now = self.signal[step]
        then = self.signal[after] if after >= 0 else torch.ones_like(now)
        clear = clear_frame(x, found, now).clamp(-1, 1)
        if self.embedder is not None:
            clear = (clear - self.section.guidance * self._towards(self.embedder, clear, raw)).clamp(-1, 1)
            found = (x - now.sqrt() * clear) / (1 - now).sqrt()
        mean, sigma = ddim(clear, found, now, then, self.section.eta)
        return mean + sigma * self._draw(x, noise) if self.section.eta and after >= 0 else mean

    def _noise_in(self, x: Tensor, condition: Tensor | None, step: int) -> Tensor:
        each = max(1, _PIXELS // (x.shape[-2] * x.shape[-1]))
        parts = []
        for at in range(0, len(x), each):
            rows = slice(at, at + each)
            steps = torch.full((len(x[rows]),), step, device=x.device)
            parts.append(self.denoiser(x[rows], steps, None if condition is None else condition[rows]))
        return torch.cat(parts)

    def _towards(self, embedder: Embedder, clear: Tensor, raw: Tensor) -> Tensor:
        """Return the gradient, over the drawn frames, of how alike drawn and raw frames look to the branch."""
        with torch.inference_mode(False), torch.enable_grad():
            drawn = clear.detach().clone().requires_grad_()
            alike = F.cosine_similarity(embedder(drawn), embedder(raw.detach().clone())).clamp(min=0).sum()
            (gradient,) = torch.autograd.grad(alike, drawn)
        return gradient

    @staticmethod
    def _draw(frames: Tensor, noise: KeyedNumbers) -> Tensor:
        return noise.normal(frames.shape[1:]).to(frames)


def noisy_frame(clear: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Return ``sqrt(a) x0 + sqrt(1 - a) e``, where a is the share of the variance that is the frame's."""
    return signal.sqrt() * clear + (1 - signal).sqrt() * noise


def clear_frame(x: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Return the frame that noise was added to, ``(x - sqrt(1 - a) e) / sqrt(a)``."""
    return (x - (1 - signal).sqrt() * noise) / signal.sqrt()


def ddim(clear: Tensor, noise: Tensor, now: Tensor, then: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the frame with less noise.

    Args:
        clear: The clear frame as the denoiser sees it.
        noise: The noise that it found.
        now: Share of the variance that is the frame's, before the step.
        then: The same after the step.
        eta: 0 to add no noise, 1 to add that of DDPM.

    Source:
        DDIM, arXiv:2010.02502, equations 12 and 16.
    """
    sigma = eta * ((1 - then) / (1 - now) * (1 - now / then)).sqrt()
    return then.sqrt() * clear + (1 - then - sigma.square()).clamp(min=0).sqrt() * noise, sigma
