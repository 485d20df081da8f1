"""Siamese hash (Cai et al. 2019): a small network, trained with pairs of films."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from graphret._checks import check_flag
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SiameseHash"]

GRID = 8


class SiameseHash(EncoderNetwork):
    """The network of Cai et al. 2019: three convolutions, three poolings, 500 nodes, the code.

    A longer code can start from the weights of a shorter one (``weights=PATH`` of an encoder with fewer bits): the
    layers before the code are shared, and the first rows of the last layer are copied.

    Departures from the paper: it does not say which size its films of 512 px were given to the network with, and the
    500 nodes need one; 64 px is the default here, which the poolings halve to 8 x 8, and of every other size the last
    maps are averaged (or, below 64 px, repeated) to 8 x 8. Convolutions are padded, so that only the poolings make
    smaller. Pixels are shifted to [-0.5, 0.5].

    Parameters
    ----------
    n_labels
        Labels of the films; there is no classifier.
    n_bits
        Length of the code.
    channels
        1 for grey films, as in the paper, or 3 for colours.
    centre
        Not the paper's: cut every bit at its median over the training films, which is stored with the weights. The loss
        holds values near -1 and 1, but not on both sides: of 64 bits, most can be alike for nearly all films.
    """

    heads: ClassVar[tuple[str, ...]] = ("hash",)
    median: Tensor

    def __init__(self, n_labels: int, n_bits: int, channels: int = 1, centre: bool = False) -> None:  # noqa: ARG002
        super().__init__()
        self.centre = check_flag("centre", centre)
        if centre:
            self.register_buffer("median", torch.zeros(n_bits))
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            nn.Conv2d(32, 32, 5, padding=2),
            nn.ReLU(),
            nn.AvgPool2d(3, stride=2, ceil_mode=True),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.ReLU(),
            nn.AvgPool2d(3, stride=2, ceil_mode=True),
        )
        self.grid = nn.AdaptiveAvgPool2d(GRID)
        self.nodes = nn.Linear(64 * GRID**2, 500)
        self.hash = nn.Linear(500, n_bits)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def values(self, images: Tensor) -> Tensor:
        """Values (b, n_bits), of any size, which the loss reads."""
        maps = self.grid(self.convolutions(images - 0.5))
        codes: Tensor = self.hash(torch.relu(self.nodes(maps.flatten(1))))
        return codes

    def features(self, images: Tensor) -> Tensor:
        """Values (b, n_bits), of any size, whose signs are the bits."""
        return self.values(images) - self.median if self.centre else self.values(images)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes."""
        return NetworkOutputs(self.values(images))

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Take the median of every value over the films, with ``centre``."""
        if self.centre:
            self.median.copy_(torch.cat([self.values(images).float().cpu() for images in batches]).quantile(0.5, dim=0))

    def fitted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keep the rows of a shorter code; the rows that it lacks stay random. Medians of other codes are left out."""
        same = "median" in tensors and self.centre and tensors["median"].shape == self.median.shape
        tensors = {key: value for key, value in tensors.items() if key != "median" or same}
        if self.centre and not same:
            tensors["median"] = self.median
        own = self.hash.state_dict()
        found = {key: tensors.get(f"hash.{key}") for key in own}
        shorter = {key: value for key, value in found.items() if value is not None and len(value) < len(own[key])}
        if len(shorter) < len(own) or any(value.shape[1:] != own[key].shape[1:] for key, value in shorter.items()):
            return tensors
        grown = {f"hash.{key}": torch.cat([value, own[key][len(value) :]]) for key, value in shorter.items()}
        return {**tensors, **grown}
