"""CroW: positions weighted by how much is active there, channels by how rarely they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CroW", "channel_weights", "spatial_weights"]


class CroW(nn.Module):
    """Cross-dimensional weighting (Kalantidis, Mellina, Osindero, ECCV workshops 2016, section 3).

    ``code_c = I_c sum_xy S(x, y) maps_c(x, y)`` with :func:`spatial_weights` S and :func:`channel_weights` I.

    The paper whitens the code: the option ``whitening`` of the encoder. The channel weights count zeros and have no
    gradient.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w), not negative -> (b, c)."""
        return (maps * spatial_weights(maps)[:, None]).sum(dim=(2, 3)) * channel_weights(maps)


def spatial_weights(maps: Tensor) -> Tensor:
    """``sqrt(A / ||A||_2)`` of the sum A of all channels, (b, c, h, w) -> (b, h, w): the paper's a = b = 2."""
    total = maps.sum(dim=1)
    norm = torch.linalg.vector_norm(total, dim=(1, 2), keepdim=True)
    share = total / norm.clamp_min(torch.finfo(maps.dtype).tiny)
    # The root has an infinite slope at 0; a position without any activity adds nothing whatever its weight.
    weights: Tensor = torch.where(share > 0, share, 1.0).sqrt() * (share > 0)
    return weights


def channel_weights(maps: Tensor) -> Tensor:
    """``log(sum_k Q_k / Q_c)`` of the share Q of positions where a channel is active, (b, c); 0 where it never is."""
    active = (maps.detach() > 0).to(maps.dtype).mean(dim=(2, 3))
    weights = torch.log(active.sum(dim=1, keepdim=True) / torch.where(active > 0, active, 1.0))
    return torch.where(active > 0, weights, 0.0)
