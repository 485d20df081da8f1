"""CAM: one descriptor for each class, from the positions that speak for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graphret.encoders.pooling.crow import channel_weights

__all__ = ["CAM", "class_activation_maps"]


class CAM(nn.Module):
    """Class-weighted convolutional features (Jimenez, Alvarez, Giro-i-Nieto, BMVC 2017, section 3).

    For each class k its activation map weighs the positions: ``d_k = I * sum_xy CAM_k(x, y) maps(x, y)`` with the
    channel weights I of CroW; the descriptors are brought to length one and added.

    Departure from the paper: the classes are the labels of the films, and all of them count (the paper takes some of
    ImageNet's thousand). It whitens the descriptors before it adds them: the option ``whitening`` of the encoder.
    """

    def forward(self, maps: Tensor, class_weights: Tensor) -> Tensor:
        """(b, c, h, w), not negative, and the weights (L, c) of a linear classifier of their average -> (b, c)."""
        return normalize(self.descriptors(maps, class_weights), dim=2).sum(dim=1)

    def descriptors(self, maps: Tensor, class_weights: Tensor) -> Tensor:
        """One descriptor of every class, (b, L, c); zeros where nothing speaks for it."""
        activation = class_activation_maps(maps, class_weights)
        return torch.einsum("blhw,bchw->blc", activation, maps) * channel_weights(maps)[:, None]


def class_activation_maps(maps: Tensor, class_weights: Tensor) -> Tensor:
    """``max(0, sum_c w_kc maps_c)`` over its largest value, (b, L, h, w) in [0, 1]; 0 where nothing speaks for k."""
    activation = torch.relu(torch.einsum("lc,bchw->blhw", class_weights, maps))
    return activation / activation.amax(dim=(2, 3), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
