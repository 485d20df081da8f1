"""GeM: a mean between the average and the maximum, whose power is learnt."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphret._errors import InvalidParameterError

__all__ = ["GeM"]


class GeM(nn.Module):
    """Generalised mean (Radenovic, Tolias, Chum, TPAMI 2019, Eq. 3): ``code_c = (mean_xy maps_c^p)^(1/p)``.

    ``p = 1`` is the average, ``p -> infinity`` the maximum. One p for all channels, learnt with the network, as in the
    paper. Departures: the paper's whitening is learnt from pairs, here the option ``whitening`` of the encoder is its
    other one, by PCA; the paper trains with a contrastive loss on tuples of buildings, here the recipe's loss is the
    classification of the films.

    Parameters
    ----------
    p
        First power, > 0; 3 in the paper.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        if not p > 0:
            raise InvalidParameterError("p", p, "a number > 0")
        self.p = nn.Parameter(torch.tensor(float(p)))

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w), not negative -> (b, c)."""
        maps = maps.clamp_min(1e-6)
        # Powers of values near 1 stay finite whatever p is.
        largest = maps.detach().amax(dim=(2, 3), keepdim=True)
        means = (maps / largest).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)
        return means * largest[:, :, 0, 0]
