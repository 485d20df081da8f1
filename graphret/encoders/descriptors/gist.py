"""GIST: the energy of Gabor filters in the parts of a film."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.fft import fft2, fftfreq, ifft2

from graphret.encoders.descriptors.filtering import mirrored

__all__ = ["SCALES", "gabor_transfer", "gist", "whitened"]

SCALES = 4
_BLOCKS = 4
_MARGIN = 32
"""Pixels that are mirrored around a film before it is filtered."""
_CUT = 4.0
"""Cycles a film, where the filter of the prefiltering falls to a half."""
_MARGIN_OF_WHITENING = 5


def gist(images: Tensor, n_orientations: int) -> Tensor:
    """Means of Gabor energies over 4 x 4 parts (Oliva, Torralba, IJCV 2001; constants of the authors' Matlab code).

    The grey values are stretched to [0, 1]. The film is whitened and its contrast normalised (`whitened`), mirrored at
    its edges, and filtered in the frequency domain by 4 scales of ``n_orientations`` Gabor filters (`gabor_transfer`).
    A value is the mean of the modulus of one response over one part.

    Parameters
    ----------
    images
        float (b, s, s), s >= 32.
    n_orientations
        Filters of each scale, >= 1.

    Returns
    -------
    Tensor
        float (b, 64 n_orientations), not negative: by scale from the finest, orientation, then part, row by row.

    Notes
    -----
    O(b n_orientations s^2 log s); one filtered batch at a time is held.

    Examples
    --------
    >>> gist(torch.rand(2, 32, 32), 8).shape
    torch.Size([2, 512])
    """
    side = images.shape[-1]
    least, most = images.amin(dim=(1, 2), keepdim=True), images.amax(dim=(1, 2), keepdim=True)
    stretched = (images - least) / (most - least).clamp_min(torch.finfo(images.dtype).tiny)
    spectrum = fft2(mirrored(whitened(stretched), _MARGIN))
    parts = part_means(side).to(images)
    energies = []
    for transfer in gabor_transfer(side + 2 * _MARGIN, n_orientations).to(images):
        response = ifft2(spectrum * transfer).abs()[:, _MARGIN : _MARGIN + side, _MARGIN : _MARGIN + side]
        energies.append((parts @ response @ parts.T).flatten(1))
    return torch.cat(energies, dim=1)


def whitened(images: Tensor) -> Tensor:
    """Logarithm of the film without its low frequencies, over its local contrast; float (b, s, s) of any sign.

    ``y = log(1 + 255 x)``, ``d = y - g * y``, ``d / (0.2 + sqrt(g * d^2))`` with a Gaussian g that halves the amplitude
    at 4 cycles across the film, which is mirrored by 5 px at its edges first.
    """
    side = images.shape[-1]
    padded = mirrored(torch.log1p(255 * images), _MARGIN_OF_WHITENING)
    cycles = fftfreq(padded.shape[-1], dtype=torch.float64) * padded.shape[-1]
    low = torch.exp(-(cycles[:, None] ** 2 + cycles**2) * math.log(2) / _CUT**2).to(images)
    details = padded - ifft2(fft2(padded) * low).real
    contrast = ifft2(fft2(details.square()) * low).real.abs().sqrt()
    inner = slice(_MARGIN_OF_WHITENING, _MARGIN_OF_WHITENING + side)
    normalised: Tensor = details / (0.2 + contrast)
    return normalised[:, inner, inner]


@lru_cache(maxsize=4)
def gabor_transfer(side: int, n_orientations: int) -> Tensor:
    """Transfer functions of the filters, float32 (4 n_orientations, side, side), frequencies in the order of an FFT.

    At frequency f (cycles a pixel) and angle t, for scale i and orientation j of n:
    ``exp(-3.5 (|f| / f_i - 1)^2 - 2 pi (16 n^2 / 32^2) a^2)`` with ``f_i = 0.3 / 1.85^i`` and a the angle from t to
    ``-pi j / n``. Only one of two opposite frequencies passes, so that the modulus of a response is its energy.
    """
    frequency = fftfreq(side, dtype=torch.float64)
    down, right = frequency[:, None].expand(side, side), frequency.expand(side, side)
    length, angle = torch.hypot(down, right), torch.atan2(down, right)
    filters = []
    for scale in range(SCALES):
        centre = 0.3 / 1.85**scale
        radial = 3.5 * (length / centre - 1) ** 2
        for orientation in range(n_orientations):
            away = angle + math.pi * orientation / n_orientations
            away = torch.where(away > math.pi, away - 2 * math.pi, away)
            filters.append(torch.exp(-radial - 2 * math.pi * (16 * n_orientations**2 / 32**2) * away**2))
    return torch.stack(filters).float()


@lru_cache(maxsize=4)
def part_means(side: int) -> Tensor:
    """Matrix float32 (4, side) whose row k averages the k-th quarter; quarters differ by a pixel at most."""
    edges = [number * side // _BLOCKS for number in range(_BLOCKS + 1)]
    means = torch.zeros(_BLOCKS, side)
    for row, (first, last) in enumerate(pairwise(edges)):
        means[row, first:last] = 1 / (last - first)
    return means
