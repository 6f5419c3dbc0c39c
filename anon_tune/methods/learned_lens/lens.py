"""The anonymizer that simulates a lens with learned aberrations and the sensor behind it.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width, Z learned Zernike terms, K colours with a
spot of their own (1 or 3), S side of a spot in pixels, P side of the pupil's grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anon_tune.networks import Anonymizer
from anon_tune.networks.optics import OVERSAMPLING, blur, intensity, per_pixel, pupil_of_colour
from anon_tune.networks.secret_noise import normal_noise

WAVELENGTHS = {1: (550.0,), 3: (640.0, 550.0, 460.0)}
"""Of each spot, in nanometres: red, green and blue, or green for all."""

_MIDDLE = 550.0  # coefficients are radians at this wavelength
_PIECE = 10.0  # radians per unit of a weight, so that the learning rate of a network suits the coefficients
_FIRST = 4  # piston changes nothing, and tilts only move the picture


class LearnedLens(Anonymizer):
    """Blurs frames by the spot of a lens with learned aberrations, and adds the noise of a sensor.

    The phase over the pupil is a sum of Zernike polynomials. The spot is the squared magnitude of the pupil's Fourier
    transform, on samples five times as fine as pixels. A spot is `SIDE` pixels wide whatever the size of the frames, so
    frames that are larger than those in training are blurred less; `anonymize --scale` avoids that.

    The noise is that of `anon_tune.networks.secret_noise`: without it, the blur could be undone exactly.

    Args:
        num_zernike: Number of the last Zernike term in Noll's order; the first three are left out.
        num_colours: 1 or 3, the number of spots.
        start: Largest coefficient before training, in radians. At 0 most terms would have no gradient, because the spot
            does not depend on their sign.
        read_noise: Standard deviation of the noise.

    Source:
        The formulas are those of textbooks (Noll 1976; Goodman, Introduction to Fourier Optics); the idea to learn a
        lens against a privacy branch is PrivHAR's (Hinojosa et al., ECCV 2022), and no code of its authors was used.
        We differ: light travels as in the far field instead of by Fresnel's integral, coefficients start away from 0,
        the sensor's noise is part of the anonymizer, and the output is not divided by the largest value of a batch,
        which would make clips depend on each other.
    """

    pupils: Tensor
    terms: Tensor

    def __init__(self, num_zernike: int, num_colours: int, start: float, read_noise: float) -> None:
        super().__init__()
        self.read_noise = read_noise
        numbers = tuple(range(_FIRST, num_zernike + 1))
        waves = WAVELENGTHS[num_colours]
        made = [pupil_of_colour(numbers, wave, min(waves)) for wave in waves]
        size = torch.rand(len(numbers)) / 2 + 0.5
        self.weights = nn.Parameter(start / _PIECE * size * torch.where(torch.rand(len(numbers)) < 0.5, -1.0, 1.0))
        self.register_buffer("pupils", torch.stack([inside for inside, _ in made]).float(), persistent=False)
        self.register_buffer(
            "terms",
            torch.stack([basis * _MIDDLE / wave for (_, basis), wave in zip(made, waves, strict=True)]).float(),
            persistent=False,
        )

    @property
    def coefficients(self) -> Tensor:
        """The learned Zernike coefficients (Z,), in radians of root mean square phase at 550 nm."""
        return _PIECE * self.weights

    def spots(self) -> Tensor:
        """Return the image of a point in each colour, (3,S,S), which adds up to 1."""
        phase = torch.einsum("z,kzij->kij", self.coefficients, self.terms)
        spots = per_pixel(intensity(phase, self.pupils), OVERSAMPLING)
        return spots.expand(3, -1, -1)

    def rewrite(self, clips: Tensor) -> Tensor:
        frames = clips.flatten(0, 1)
        seen = blur(frames, self.spots())
        if self.read_noise:
            seen = seen + self.read_noise * normal_noise(frames, "learned-lens")
        return seen.reshape(clips.shape)
