"""Regional attention: R-MAC whose regions are weighted by a small network that sees them and the whole film."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphret._checks import check_integer
from graphret.encoders.pooling.regions import region_averages, region_maxima, rmac_regions

__all__ = ["RegionalAttention"]


class RegionalAttention(nn.Module):
    """Context-aware regional attention (Kim, Yoon, BMVC 2018, section 3).

    The code is the mean over the regions of R-MAC of ``a_r max_r``. The weight of a region comes from its average and
    that of the whole maps, ``a_r = softplus(w_2 . softplus(W_1 [mean_r, mean] + b_1) + b_2)``, 64 units between.

    Departures from the paper: trained together with the backbone (there the backbone is fixed), by the classification
    of the films; three scales in the place of five, as for R-MAC. PCA afterwards is the option ``whitening`` of the
    encoder.

    Parameters
    ----------
    channels
        Of the maps.
    n_scales
        Sizes of the regions, >= 1.
    """

    def __init__(self, channels: int, n_scales: int = 3) -> None:
        super().__init__()
        self.n_scales = check_integer("n_scales", n_scales, 1)
        self.hidden = nn.Linear(2 * channels, 64)
        self.score = nn.Linear(64, 1)
        for layer in (self.hidden, self.score):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def attention(self, maps: Tensor) -> Tensor:
        """Weight of every region, (b, n_regions), > 0."""
        regions = rmac_regions(maps.shape[2], maps.shape[3], self.n_scales)
        averages = region_averages(maps, regions)
        context = maps.mean(dim=(2, 3))[:, None].expand_as(averages)
        weights: Tensor = softplus(self.score(softplus(self.hidden(torch.cat([averages, context], dim=2)))))
        return weights[:, :, 0]

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c)."""
        regions = rmac_regions(maps.shape[2], maps.shape[3], self.n_scales)
        return (self.attention(maps)[:, :, None] * region_maxima(maps, regions)).mean(dim=1)
