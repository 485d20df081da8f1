"""R-MAC: the maxima of regions of several sizes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from graphret._checks import check_integer
from graphret.encoders.pooling.regions import region_maxima, rmac_regions

__all__ = ["RMAC"]


class RMAC(nn.Module):
    """Regional maximum activations (Tolias, Sicre, Jegou, ICLR 2016): region maxima of length one, added.

    The paper whitens the vectors of the regions before it adds them: the option ``whitening`` of the encoder.

    Parameters
    ----------
    n_scales
        Sizes of the regions, >= 1; 3 in the paper: 14 regions of square maps.
    """

    def __init__(self, n_scales: int = 3) -> None:
        super().__init__()
        self.n_scales = check_integer("n_scales", n_scales, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c)."""
        return normalize(self.descriptors(maps), dim=2).sum(dim=1)

    def descriptors(self, maps: Tensor) -> Tensor:
        """The maxima of every region, (b, n_regions, c)."""
        return region_maxima(maps, rmac_regions(maps.shape[2], maps.shape[3], self.n_scales))
