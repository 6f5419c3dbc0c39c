"""The optics of a lens with a known wavefront: Zernike polynomials, point-spread functions, and blur by them.

Shapes: B clips, T frames per clip, N frames, C colours, H height, W width, S side of a point-spread function in pixels
(odd), Z Zernike terms, P side of the pupil's grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

OVERSAMPLING = 5
"""Samples of a point-spread function per pixel and axis. Odd, so that the middle lies in the middle of a pixel."""

SIDE = 33
"""S: pixels of a point-spread function along each axis."""

_PUPIL = 80.0  # diameter of the pupil in samples, of a grid of 165: the intensity of the finest spot is just sampled


def noll(index: int) -> tuple[int, int]:
    """Return the radial order n and the azimuthal order m of a Zernike polynomial in Noll's numbering, from 1 on.

    A negative m stands for the sine, a positive one for the cosine.

    Source:
        Noll, J. Opt. Soc. Am. 66 (1976).
    """
    n = math.ceil((math.sqrt(8 * index + 1) - 3) / 2)
    at = index - n * (n + 1) // 2 - 1
    m = n % 2 + 2 * ((at + (n + 1) % 2) // 2)
    return n, m if index % 2 == 0 else -m


def zernike(index: int, radius: Tensor, angle: Tensor) -> Tensor:
    """Return a Zernike polynomial at points of the unit disk, of the shape of the points.

    The polynomials are orthonormal: the mean over the disk of a product of two is 1 if they are the same, else 0. So a
    coefficient in radians is the root mean square of the phase that it adds.

    Args:
        index: Noll's number, from 1 on: 1 piston, 2 and 3 tilt, 4 defocus, 5 and 6 astigmatism, 7 and 8 coma.
        radius: Distances from the middle, in [0, 1].
        angle: Angles in radians.
    """
    n, m = noll(index)
    order = abs(m)
    total = torch.zeros_like(radius)
    for k in range((n - order) // 2 + 1):
        below = math.factorial(k) * math.factorial((n + order) // 2 - k) * math.factorial((n - order) // 2 - k)
        total = total + (-1) ** k * math.factorial(n - k) / below * radius ** (n - 2 * k)
    if m == 0:
        return math.sqrt(n + 1) * total
    return math.sqrt(2 * (n + 1)) * total * (torch.cos(order * angle) if m > 0 else torch.sin(order * angle))


def pupil(terms: tuple[int, ...], size: int, diameter: float) -> tuple[Tensor, Tensor]:
    """Return a round pupil (P,P), 1 inside and 0 outside, and the Zernike terms (Z,P,P) on it, 0 outside.

    Args:
        terms: Noll's numbers of the terms.
        size: P, samples of the grid along each axis.
        diameter: Diameter of the pupil in samples; with half of P, the intensity of a point is sampled just enough.
    """
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    y, x = at.view(-1, 1) / (diameter / 2), at.view(1, -1) / (diameter / 2)
    radius = (x.square() + y.square()).sqrt()
    inside = (radius <= 1).double()
    angle = torch.atan2(y, x)
    kept = radius.clamp(max=1)
    basis = [zernike(term, kept, angle) * inside for term in terms]
    return inside, torch.stack(basis) if basis else torch.zeros(0, size, size, dtype=torch.float64)


def intensity(phase: Tensor, inside: Tensor) -> Tensor:
    """Return the image of a point, (...,P,P), which adds up to 1, with its middle at index P // 2.

    ``|FFT(pupil exp(i phase))|^2``, divided by its sum.

    Args:
        phase: Phase over the pupil in radians, (...,P,P).
        inside: The pupil (P,P).
    """
    field = torch.fft.fft2(torch.complex(inside * torch.cos(phase), inside * torch.sin(phase)))
    power = field.real.square() + field.imag.square()
    shifted: Tensor = torch.fft.fftshift(power / power.sum(dim=(-2, -1), keepdim=True), dim=(-2, -1))
    return shifted


def per_pixel(fine: Tensor, oversampling: int) -> Tensor:
    """Add up the samples (K,P,P) of the images of a point that fall on the same pixel, to (K,S,S)."""
    summed: Tensor = F.avg_pool2d(fine.unsqueeze(1), oversampling).squeeze(1) * oversampling**2
    return summed


def pupil_of_colour(terms: tuple[int, ...], wavelength: float, shortest: float) -> tuple[Tensor, Tensor]:
    """Return pupil and Zernike terms for a colour. A longer wave makes a larger spot: its pupil has fewer samples."""
    return pupil(terms, SIDE * OVERSAMPLING, _PUPIL * shortest / wavelength)


def blur(frames: Tensor, kernels: Tensor) -> Tensor:
    """Blur frames (N,C,H,W), each colour with its own kernel (C,S,S), S odd.

    Pixels beyond the border repeat those at the border, so a kernel that adds up to 1 does not change constant frames.
    """
    radius = kernels.shape[-1] // 2
    padded = F.pad(frames, (radius,) * 4, mode="replicate")
    transfer = _transfer(kernels, (padded.shape[-2], padded.shape[-1]))
    return _filtered(padded, transfer)[..., radius:-radius, radius:-radius]


def wiener(frames: Tensor, kernels: Tensor, noise: Tensor | float) -> Tensor:
    """Undo a blur by known kernels, as well as noise allows: Wiener's filter ``conj(K) / (|K|^2 + c)``.

    Args:
        frames: Blurred frames (N,C,H,W).
        kernels: The kernels of each frame's colours, (N,C,S,S) or (C,S,S).
        noise: The number c above 0, the power of the noise relative to that of the frames.

    Returns:
        Restored frames (N,C,H,W), of any range.
    """
    radius = kernels.shape[-1] // 2
    padded = F.pad(frames, (radius,) * 4, mode="replicate")
    transfer = _transfer(kernels, (padded.shape[-2], padded.shape[-1]))
    power = transfer.real.square() + transfer.imag.square()
    return _filtered(padded, transfer.conj() / (power + noise))[..., radius:-radius, radius:-radius]


def _transfer(kernels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the Fourier transform of kernels (...,S,S), whose middle becomes the origin, on frames of this size."""
    height, width = size
    side = kernels.shape[-1]
    placed = F.pad(kernels, (0, width - side, 0, height - side))
    spectrum: Tensor = torch.fft.rfft2(placed.roll((-(side // 2), -(side // 2)), (-2, -1)))
    return spectrum


def _filtered(padded: Tensor, transfer: Tensor) -> Tensor:
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(padded) * transfer, s=padded.shape[-2:])
    return filtered
