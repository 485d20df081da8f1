"""Gabor and Schmid filters: textures with a direction, and textures without one."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.fft import irfft2, rfft2
from torch.nn.functional import avg_pool2d

from graphret.encoders.descriptors.filtering import mirrored

__all__ = ["N_FILTERS", "SCHMID", "filter_bank", "patch_textures"]

SCHMID = (
    *((2, 1), (4, 1), (4, 2), (6, 1), (6, 2), (6, 3), (8, 1), (8, 2), (8, 3)),
    *((10, 1), (10, 2), (10, 3), (10, 4)),
)
"""(sigma, tau) of the 13 filters of Schmid (CVPR 2001)."""
_WAVELENGTHS = (4.0, 8.0, 16.0)
_ORIENTATIONS = 8
N_FILTERS = len(_WAVELENGTHS) * _ORIENTATIONS + len(SCHMID)
_RADIUS = 24
"""Filters are 49 px wide: beyond it the widest envelope (sigma 10) is below .06."""


def patch_textures(images: Tensor, patch: int) -> Tensor:
    """Mean modulus of every filter's response over patches that do not overlap.

    Parameters
    ----------
    images
        float (b, s, s), s >= 24; mirrored at the edges.
    patch
        Side of a patch in px.

    Returns
    -------
    Tensor
        float (b, 37, s // patch, s // patch), not negative.

    Notes
    -----
    O(37 b s^2 log s) by FFT; one filtered batch at a time is held.
    """
    side, width = images.shape[-1], images.shape[-1] + 4 * _RADIUS
    # The circle of the FFT is wider than film, margin and filter together, so that nothing comes round.
    shape = (width, width)
    spectrum = rfft2(mirrored(images, _RADIUS), s=shape)
    textures = []
    for kernel in filter_bank().to(images):
        response = irfft2(spectrum * rfft2(kernel, s=shape), s=shape)
        inner = slice(2 * _RADIUS, 2 * _RADIUS + side)
        textures.append(avg_pool2d(response[:, inner, inner].abs(), patch))
    return torch.stack(textures, dim=1)


@lru_cache(maxsize=1)
def filter_bank() -> Tensor:
    """The filters, float32 (37, 49, 49), each of mean 0 and sum of absolute values 1.

    Gabor: ``cos(2 pi x' / l) exp(-(x'^2 + y'^2) / (2 (l / 2)^2))``, x' along 8 directions, wavelengths l of 4, 8 and 16
    px. Schmid (CVPR 2001): ``cos(pi tau r / sigma) exp(-r^2 / (2 sigma^2))`` with the 13 pairs of `SCHMID`.
    """
    steps = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float64)
    down, right = steps[:, None].expand(len(steps), -1), steps.expand(len(steps), -1)
    distance = torch.hypot(down, right)
    filters = []
    for wavelength in _WAVELENGTHS:
        for number in range(_ORIENTATIONS):
            angle = math.pi * number / _ORIENTATIONS
            along = right * math.cos(angle) + down * math.sin(angle)
            wave = torch.cos(2 * math.pi * along / wavelength)
            filters.append(wave * torch.exp(-(distance**2) / (2 * (wavelength / 2) ** 2)))
    for sigma, tau in SCHMID:
        filters.append(torch.cos(math.pi * tau * distance / sigma) * torch.exp(-(distance**2) / (2 * sigma**2)))
    bank = torch.stack(filters)
    bank = bank - bank.mean(dim=(1, 2), keepdim=True)
    return (bank / bank.abs().sum(dim=(1, 2), keepdim=True)).float()
