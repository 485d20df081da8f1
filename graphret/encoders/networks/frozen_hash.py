"""Hashing without labels: a hash layer over a backbone that stays as it began."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from graphret.encoders.networks.deep_hash import DeepHash
from graphret.encoders.objectives.objective import NetworkOutputs

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FrozenHash", "FrozenPerceptronHash"]


class FrozenHash(DeepHash):
    """One linear layer to the bits, over features that no step changes: Bi-half, unsupervised GreedyHash.

    What the bits should be like is read off these features, so they must come from weights that have learnt something:
    give pretrained ones. The backbone's batch normalisation keeps its statistics in training too.
    """

    frozen: ClassVar[bool] = True

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, n_bits, backbone)
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> FrozenHash:
        """Set the mode of the hash layer; the backbone is always in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and the features (b, channels) under them."""
        pooled = self.pooled(images)
        return NetworkOutputs(self.hash(pooled), further={"features": pooled})


class FrozenPerceptronHash(FrozenHash):
    """Two layers, with 1,024 values and a ReLU between them, to the bits: CIBHash."""

    def __init__(self, n_labels: int, n_bits: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, n_bits, backbone)
        self.hash = nn.Sequential(nn.Linear(self.channels, 1024), nn.ReLU(), nn.Linear(1024, n_bits))
