"""Where a film is unlike the rest of itself: saliency from its spectrum, without a network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["spectral_residual"]

SIDE = 64
SIGMA = 2.5
_RADIUS = 8
_LUMA = (0.299, 0.587, 0.114)
_LEAST = 1e-6
"""Added to amplitudes, whose logarithm is taken; a film of one grey has amplitudes of 0."""


def spectral_residual(images: Tensor) -> Tensor:
    """Compute the saliency of films by their spectral residual (Hou, Zhang, CVPR 2007).

    Of the film at 64 x 64 px with the spectrum ``A exp(i P)``: ``L = log A``, ``R = L - h * L`` with the mean h over
    3 x 3 frequencies, ``S = g * |F^-1(exp(R + i P))|^2`` with a Gaussian g of 2.5 px, divided by its maximum.

    The paper's text was not at hand: size, h and g are those of public implementations of it.

    Parameters
    ----------
    images
        Float (b, 1, s, s), or (b, 3, s, s) whose luma is taken, in [0, 1].

    Returns
    -------
    Tensor
        float32 (b, 64, 64) in [0, 1], without gradient.

    Notes
    -----
    O(b 64^2 log 64).

    Examples
    --------
    >>> film = 0.4 + 0.2 * torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> film[0, 0, 40:44, 20:24] = 1.0
    >>> saliency = spectral_residual(film)[0]
    >>> bool(saliency[42, 22] > 4 * saliency.mean())
    True
    """
    with torch.no_grad():
        films = images.float()
        if films.shape[1] == 3:
            films = (films * films.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        films = functional.interpolate(films, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        spectrum = torch.fft.fft2(films)
        amplitude = spectrum.abs()
        logarithm = torch.log(amplitude + _LEAST)
        mean = functional.avg_pool2d(functional.pad(logarithm, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        turned = torch.polar(torch.exp(logarithm - mean), spectrum.angle())
        energy = torch.fft.ifft2(turned).abs().square()
        places = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float32, device=films.device)
        weights = torch.exp(-(places**2) / (2 * SIGMA**2))
        weights = weights / weights.sum()
        padded = functional.pad(energy, (_RADIUS,) * 4, mode="replicate")
        smooth = functional.conv2d(functional.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
        saliency = smooth[:, 0]
        return saliency / saliency.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
