"""SOLAR-local: patches of a film, described by a network with second-order attention, added to one code."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, unfold

from graphret._checks import check_integer
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = ["SecondOrderAttention", "SolarLocal"]

PATCH = 32


class SecondOrderAttention(nn.Module):
    """Second-order spatial attention (Ng, Balntas, Tian, Mikolajczyk, ECCV 2020, section 3.1).

    ``x + V softmax(f(x)^T g(x) / sqrt(d)) h(x)``: every position gathers from all others, weighted by how much their
    features are alike; f, g, h and V are 1 x 1 convolutions, d is the number of channels between them. f and g end in
    batch norm and ReLU, as in the authors' code.

    Departures from that code: V begins near 0, not at 0, so that all of it learns from the first step; f and g have no
    bias, which their batch norm takes away anyhow.

    Parameters
    ----------
    channels
        Of the maps, in and out.
    reduction
        ``channels / d``.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = channels // reduction
        self.query = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU())
        self.key = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU())
        self.value = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)
        nn.init.normal_(self.out.weight, std=1e-3)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """(b, channels, h, w) to the same shape; O(b (h w)^2) memory."""
        query, key, value = (layer(maps).flatten(2) for layer in (self.query, self.key, self.value))
        weights = torch.softmax(query.transpose(1, 2) @ key / query.shape[1] ** 0.5, dim=2)
        gathered = (value @ weights.transpose(1, 2)).view(len(maps), -1, *maps.shape[2:])
        found: Tensor = maps + self.out(gathered)
        return found


class SolarLocal(EncoderNetwork):
    """SOLAR-local (Ng et al., ECCV 2020): the descriptor network of SOSNet with second-order attention, on patches.

    Seven convolutions without affine batch norms (channels 32, 32, 64, 64, 128, 128, then 8 x 8 to the descriptor) take
    a patch of 32 px, with attention after the third, fourth and fifth; a descriptor has length one. Read from the
    authors' code; the paper itself could not be read.

    Fang et al. (2021, Table II) list SOLAR-local with 1,024 values, and do not say how the patches of a film become
    them. **Decisions**: descriptors have 1,024 values (128 in the paper), those of all patches that do not overlap are
    added, and the sum is brought to length one. It is trained by `SecondOrder` between films, where the paper has pairs
    of patches of one place.

    Parameters
    ----------
    n_labels
        Labels of the films; there is no classifier.
    n_values
        Length of the code, >= 1.
    """

    heads: ClassVar[tuple[str, ...]] = ("describe",)

    def __init__(self, n_labels: int, n_values: int = 1024) -> None:  # noqa: ARG002 - one signature for all
        super().__init__()
        check_integer("n_values", n_values, 1)
        self.layers = nn.Sequential(
            nn.InstanceNorm2d(1, eps=1e-5),
            *_convolution(1, 32),
            *_convolution(32, 32),
            *_convolution(32, 64, stride=2),
            SecondOrderAttention(64, 4),
            *_convolution(64, 64),
            SecondOrderAttention(64, 4),
            *_convolution(64, 128, stride=2),
            SecondOrderAttention(128, 2),
            *_convolution(128, 128),
            nn.Dropout(0.1),
        )
        self.describe = nn.Sequential(
            nn.Conv2d(128, n_values, PATCH // 4, bias=False), nn.BatchNorm2d(n_values, affine=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.orthogonal_(module.weight)

    def descriptors(self, images: Tensor) -> Tensor:
        """Descriptors of length one of the patches of films, (b, patches, n_values); a rest at the edge is not used."""
        patches = unfold(images, PATCH, stride=PATCH).transpose(1, 2)
        described = self.describe(self.layers(patches.reshape(-1, 1, PATCH, PATCH)))
        return normalize(described.view(*patches.shape[:2], -1), dim=2)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, n_values) of length one."""
        return normalize(self.descriptors(images).sum(dim=1), dim=1)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes."""
        return NetworkOutputs(self.features(images))


def _convolution(channels: int, out: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out, affine=False, eps=1e-5), nn.ReLU()
