"""Deep hashing over any backbone: the network under each loss of `graphret.encoders.objectives`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphret.encoders.networks.backbones import BackboneNetwork
from graphret.encoders.networks.network import resized_to
from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = [
    "AttentionTripletHash",
    "ClassifyingHash",
    "DeepHash",
    "DivideAndEncode",
    "DivideAndEncodeHash",
    "NormalisedHash",
]


class DeepHash(BackboneNetwork):
    """A backbone, the average of its maps, and one linear layer to the bits: DSH, DPSH, HashNet, CSQ, and others.

    The papers have networks of their time and size; here the loss alone tells the methods apart.

    Parameters
    ----------
    n_labels
        Labels of the films; only networks with a classifier use it.
    n_bits
        Length of the code.
    backbone
        Name of the backbone, see :func:`graphret.encoders.networks.backbones.create_backbone`.
    """

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:  # noqa: ARG002 - one signature for all
        super().__init__(backbone)
        self.hash: nn.Linear | DivideAndEncode | nn.Sequential = nn.Linear(self.channels, n_bits)

    def pooled(self, images: Tensor) -> Tensor:
        """The maps of the backbone averaged over all positions, float (b, channels)."""
        return self.maps(images).mean(dim=(2, 3))

    def features(self, images: Tensor) -> Tensor:
        """Values (b, n_bits), of any size, whose signs are the bits."""
        codes: Tensor = self.hash(self.pooled(images))
        return codes

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and the weights (n_bits, channels) of the hash layer, which DRH makes orthogonal."""
        layer: Any = self.hash
        return NetworkOutputs(self.features(images), further={"hash_weight": layer.weight})


class ClassifyingHash(DeepHash):
    """A linear classifier beside the hash layer: CNNH, OSDH."""

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, n_bits, backbone)
        self.classifier = nn.Linear(self.channels, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        pooled = self.pooled(images)
        return NetworkOutputs(self.hash(pooled), self.classifier(pooled))


class AttentionTripletHash(ClassifyingHash):
    """ATH: a gate over the positions of the maps before their average (Fang, Fu, Liu 2021).

    The gate is a 3 x 3 convolution over the mean and the maximum of the channels, and a sigmoid. The paper has it after
    the first block of a small network of its own; here it stands on the last maps of any backbone.
    """

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, n_bits, backbone)
        self.attention = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def pooled(self, images: Tensor) -> Tensor:
        """The gated maps averaged over all positions, float (b, channels)."""
        maps = self.maps(images)
        return (maps * self._gate(maps)).mean(dim=(2, 3))

    def saliency(self, images: Tensor) -> Tensor:
        """The gate over the film, float (b, s, s) in [0, 1]."""
        return resized_to(self._gate(self.maps(images)), images)[:, 0]

    def _gate(self, maps: Tensor) -> Tensor:
        descriptors = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.attention(descriptors))


class DivideAndEncode(nn.Module):
    """One slice of the features for each bit, with weights of its own (DNNH, Lai et al. 2015).

    Parameters
    ----------
    channels
        Of the input. The paper's network ends in ``width * n_bits`` of them; here a linear layer and a ReLU make them.
    n_bits
        Slices.
    width
        Values of a slice; 50 in the paper.
    """

    def __init__(self, channels: int, n_bits: int, width: int = 50) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, width * n_bits)
        self.weight = nn.Parameter(torch.empty(n_bits, width).uniform_(-1, 1) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(n_bits))

    def forward(self, pooled: Tensor) -> Tensor:
        """(b, channels) -> (b, n_bits), before the sigmoid."""
        slices = torch.relu(self.expand(pooled)).unflatten(1, self.weight.shape)
        bits: Tensor = (slices * self.weight).sum(dim=2) + self.bias
        return bits


class DivideAndEncodeHash(DeepHash):
    """DNNH: the divide-and-encode module in the place of one linear layer."""

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, n_bits, backbone)
        self.hash = DivideAndEncode(self.channels, n_bits)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes."""
        return NetworkOutputs(self.features(images))


class NormalisedHash(DeepHash):
    """Bits that are normalised over the batch, about half of which are then positive: OrthoHash (Hoe et al. 2021)."""

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, n_bits, backbone)
        self.hash = nn.Sequential(nn.Linear(self.channels, n_bits, bias=False), nn.BatchNorm1d(n_bits))

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes."""
        return NetworkOutputs(self.features(images))
