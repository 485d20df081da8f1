"""SPoC: a sum over all positions that trusts the centre more than the edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SPoC", "centre_prior"]


class SPoC(nn.Module):
    """Sum-pooled convolutional features with a Gaussian centre prior (Babenko, Lempitsky, ICCV 2015, Eq. 4-5).

    ``code_c = sum_xy a(x, y) maps_c(x, y)`` with ``a = exp(-((x - x0)^2 + (y - y0)^2) / (2 sigma^2))``; sigma is a
    third of the distance from the centre to the nearest edge.

    The paper whitens the code and keeps 256 values of it: the options ``whitening`` and ``n_values`` of the encoder.
    The weights sum to 1, which changes no code: it is brought to length one.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c)."""
        prior = centre_prior(maps.shape[2], maps.shape[3]).to(device=maps.device, dtype=maps.dtype)
        return (maps * prior).sum(dim=(2, 3))


def centre_prior(height: int, width: int) -> Tensor:
    """Gaussian weights (height, width) around the centre, float64, of sum 1.

    Examples
    --------
    >>> centre_prior(1, 3).argmax().item()
    1
    """
    rows = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    columns = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    sigma = min(height, width) / 2 / 3
    prior = torch.exp(-(rows[:, None] ** 2 + columns[None, :] ** 2) / (2 * sigma**2))
    return prior / prior.sum()
