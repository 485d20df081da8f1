"""The regions of R-MAC, and what is gathered from each."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphret._checks import check_integer

__all__ = ["Region", "region_averages", "region_maxima", "rmac_regions"]

_OVERLAP = 0.4


class Region(NamedTuple):
    """A square part of the maps, in positions."""

    top: int
    left: int
    side: int


def rmac_regions(height: int, width: int, n_scales: int = 3) -> list[Region]:
    """Squares of ``n_scales`` sizes over maps of a size (Tolias, Sicre, Jegou 2016, section 4).

    At scale l their side is ``2 min(h, w) / (l + 1)``, rounded down, at least 1; l stand along the shorter side and l +
    m - 1 along the longer, at equal steps from edge to edge. m is the number of largest squares, chosen so that two
    neighbours of them overlap as nearly as possible by 40 %. Square maps have 1 + 4 + 9 = 14 regions at three scales.

    Parameters
    ----------
    height, width
        Of the maps, >= 1.
    n_scales
        >= 1; 3 in the paper.

    Returns
    -------
    list of Region
        By scale, from the largest, then row by row. On maps of a few positions some coincide.

    Examples
    --------
    >>> rmac_regions(8, 8, n_scales=2)
    [Region(top=0, left=0, side=8), Region(top=0, left=0, side=5), Region(top=0, left=3, side=5), \
Region(top=3, left=0, side=5), Region(top=3, left=3, side=5)]
    >>> len(rmac_regions(8, 8)), len(rmac_regions(7, 10))
    (14, 20)
    """
    for name, value in (("height", height), ("width", width), ("n_scales", n_scales)):
        check_integer(name, value, 1)
    shorter, longer = min(height, width), max(height, width)
    more = 0
    if longer > shorter:

        def from_wanted(count: int) -> float:
            step = (longer - shorter) / (count - 1)
            return abs((shorter - step) / shorter - _OVERLAP)

        more = min(range(2, 8), key=from_wanted) - 1
    regions = []
    for scale in range(1, n_scales + 1):
        side = max(1, 2 * shorter // (scale + 1))
        rows = _starts(height, side, scale + (more if height > width else 0))
        columns = _starts(width, side, scale + (more if width > height else 0))
        regions += [Region(top, left, side) for top in rows for left in columns]
    return regions


def region_maxima(maps: Tensor, regions: list[Region]) -> Tensor:
    """Maximum of every channel over each region, (b, c, h, w) -> (b, n_regions, c)."""
    return torch.stack([_part(maps, region).amax(dim=(2, 3)) for region in regions], dim=1)


def region_averages(maps: Tensor, regions: list[Region]) -> Tensor:
    """Mean of every channel over each region, (b, c, h, w) -> (b, n_regions, c)."""
    return torch.stack([_part(maps, region).mean(dim=(2, 3)) for region in regions], dim=1)


def _starts(length: int, side: int, count: int) -> list[int]:
    if count == 1:
        return [0]
    step = (length - side) / (count - 1)
    # Whole steps may come out of a division a hair below themselves.
    return [math.floor(number * step + 1e-9) for number in range(count)]


def _part(maps: Tensor, region: Region) -> Tensor:
    return maps[:, :, region.top : region.top + region.side, region.left : region.left + region.side]
